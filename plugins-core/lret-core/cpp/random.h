// Random numbers that are the same on every machine: xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64.
#pragma once

#include <cmath>
#include <cstdint>

namespace proxima {

class Random {
public:
    explicit Random(uint64_t seed) {
        for (uint64_t& word : state_) {
            uint64_t z = seed += 0x9e3779b97f4a7c15u;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
            z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
            word = z ^ (z >> 31);
        }
    }

    uint64_t word() {
        const uint64_t out = turned(state_[1] * 5, 7) * 9, shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = turned(state_[3], 45);
        return out;
    }

    double uniform() { return double(word() >> 11) * 0x1p-53; }  // in [0, 1)

    // How many of `trials` succeed, in time proportional to those that do: what lies between two is geometric.
    uint64_t binomial(uint64_t trials, double chance) {
        if (chance <= 0) return 0;
        if (chance >= 1) return trials;
        if (chance > 0.5) return trials - binomial(trials, 1 - chance);
        const double scale = 1 / std::log1p(-chance);
        uint64_t out = 0;
        for (double at = 0;; ++out) {
            at += std::floor(std::log(1 - uniform()) * scale) + 1;
            if (!(at <= double(trials))) return out;
        }
    }

private:
    static uint64_t turned(uint64_t x, int by) { return x << by | x >> (64 - by); }

    uint64_t state_[4];
};

}  // namespace proxima
