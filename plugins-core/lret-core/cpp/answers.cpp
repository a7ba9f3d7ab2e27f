// What is read from L, without forming rho. Kept noise (Plan::tails) is the caller's to apply.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "factor.h"

namespace proxima {

template <typename T>
double Factor<T>::trace() const {
    Poll quiet([] { return true; });
    const std::vector<double> norms = this->stored_norms(quiet);
    return scale_ * scale_ * std::accumulate(norms.begin(), norms.end(), 0.0);
}

template <typename T>
void Factor<T>::probabilities(double* out, Poll& poll) const {
    constexpr size_t BLOCK = 4096;
    std::fill(out, out + rows_, 0.0);
    parallel_for(threads_, (rows_ + BLOCK - 1) / BLOCK, poll, [&](size_t block) {
        const size_t begin = block * BLOCK, end = std::min(rows_, begin + BLOCK);
        for (const Tile& tile : tiles_) kernels_.probabilities(tile.get(), begin, end, out);
        for (size_t row = begin; row < end; ++row) out[row] *= scale_ * scale_;
    });
}

template <typename T>
Complex Factor<T>::pauli(uint64_t x, uint64_t z, Poll& poll) const {
    std::vector<Complex> parts(tiles_.size());
    parallel_for(threads_, tiles_.size(), poll, [&](size_t t) {
        double re, im;
        kernels_.pauli(tiles_[t].get(), rows_, x, z, &re, &im);
        parts[t] = {re, im};
    });
    return scale_ * scale_ * std::accumulate(parts.begin(), parts.end(), Complex());
}

template <typename T>
void Factor<T>::reduced(const std::vector<int>& qubits, double* out, Poll& poll) const {
    const size_t numbers = size_t(2) << (2 * qubits.size());
    std::fill(out, out + numbers, 0.0);
    for (const Tile& tile : tiles_) {
        kernels_.reduced(tile.get(), rows_, int(qubits.size()), qubits.data(), out);
        poll();
    }
    for (size_t i = 0; i < numbers; ++i) out[i] *= scale_ * scale_;
}

template <typename T>
void Factor<T>::density(std::complex<T>* out, Poll& poll) const {
    std::vector<const T*> tiles;
    for (const Tile& tile : tiles_) tiles.push_back(tile.get());
    const auto place = [](size_t i) {  // bit q of i at bit 2q
        size_t to = 0;
        for (int q = 0; i >> q; ++q) to |= (i >> q & 1) << 2 * q;
        return to;
    };
    std::vector<size_t> places(rows_);
    for (size_t i = 0; i < rows_; ++i) places[i] = place(i);
    const T factor = T(scale_ * scale_);
    parallel_for(threads_, rows_ / 2, poll, [&](size_t half) {
        const size_t i = 2 * half;
        for (size_t j = 0; j <= i; j += 2) {
            T sums[8];
            kernels_.products(tiles.data(), int(tiles.size()), i, j, sums);
            for (int e = 0; e < 4; ++e) {
                const size_t row = places[i + e / 2], column = places[j + e % 2];
                const std::complex<T> element(factor * sums[e], factor * sums[4 + e]);
                out[row | column << 1] = element;
                out[column | row << 1] = std::conj(element);
            }
        }
    });
}

// An element is a sum over tiles and then over lanes; |L| |L|^T has at most L's trace as its Frobenius norm.
template <typename T>
double Factor<T>::density_rounding() const {
    const double terms = 2 * double(tiles_.size()) + LANES<T> + 2;
    return 0.5 * std::sqrt(double(rows_)) * terms * double(std::numeric_limits<T>::epsilon()) / 2;
}

#define INSTANTIATE(T)                                                        \
    template double Factor<T>::trace() const;                                \
    template void Factor<T>::probabilities(double*, Poll&) const;            \
    template Complex Factor<T>::pauli(uint64_t, uint64_t, Poll&) const;      \
    template void Factor<T>::density(std::complex<T>*, Poll&) const;         \
    template double Factor<T>::density_rounding() const;                     \
    template void Factor<T>::reduced(const std::vector<int>&, double*, Poll&) const;
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace proxima
