#include "trajectories.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace proxima {
namespace {

constexpr double LIGHT = 1e-20;  // a squared norm below which a column is scaled up, so that it cannot underflow

// How many of `shots` come to each of some outcomes, by weight.
std::vector<uint64_t> divide(uint64_t shots, const double* weights, size_t count, Random& random) {
    std::vector<uint64_t> out(count);
    double left = std::accumulate(weights, weights + count, 0.0);
    for (size_t k = 0; k < count && shots; ++k) {
        out[k] = k + 1 == count ? shots : random.binomial(shots, left > 0 ? weights[k] / left : 0);
        shots -= out[k];
        left -= weights[k];
    }
    return out;
}

}  // namespace

uint64_t AnyTrajectories::shots() const { return std::accumulate(shots_.begin(), shots_.end(), uint64_t(0)); }

template <typename T>
Trajectories<T>::Trajectories(int num_qubits, int num_clbits, int threads, uint64_t shots, uint64_t seed)
    : AnyTrajectories(num_clbits, seed), Columns<T>(num_qubits, threads) {
    if (!shots) return;
    this->start();
    shots_ = {shots};
    bits_.emplace_back(num_clbits);
}

template <typename T>
void Trajectories<T>::add(const AnyFactor& any, uint64_t shots, const std::vector<uint8_t>& bits, Poll& poll) {
    const auto& factor = dynamic_cast<const Factor<T>&>(any);
    const std::vector<double> weights = factor.weights();
    const std::vector<uint64_t> shares = divide(shots, weights.data(), weights.size(), random_);
    std::vector<size_t> which;
    for (size_t j = 0; j < shares.size(); ++j)
        if (shares[j]) {
            which.push_back(j);
            shots_.push_back(shares[j]);
            bits_.push_back(bits);
        }
    Columns<T>::take(factor, which, poll);
    normalise();
}

template <typename T>
void Trajectories<T>::advance(const Plan& plan, size_t begin, Poll& poll) {
    const std::vector<Unit> units = plan.units();
    for (size_t at = begin; at < units.size(); ++at) {
        if (units[at].gates) Columns<T>::apply(*units[at].gates, poll);
        if (units[at].channel) apply(*units[at].channel, poll);
    }
}

template <typename T>
void Trajectories<T>::apply(const Channel& channel, Poll& poll) {
    const size_t operators = channel.kraus.size(), parents = count();
    const std::vector<double> weights = this->piece_weights(channel, poll);
    std::vector<Piece> pieces;
    for (size_t j = 0; j < parents; ++j) {
        const double* mine = weights.data() + j * operators;
        const std::vector<uint64_t> shares = divide(shots_[j], mine, operators, random_);
        for (size_t k = 1; k < operators; ++k)
            if (shares[k]) {
                pieces.push_back({j, int(k), mine[k]});
                shots_.push_back(shares[k]);
                bits_.push_back(bits_[j]);
            }
        shots_[j] = shares[0];
    }
    Columns<T>::apply(channel, weights, pieces, true, poll);
    done_ += channel.error;
    drop_empty();
    normalise();
}

template <typename T>
void Trajectories<T>::measure(int qubit, int clbit, double one_for_zero, double zero_for_one, Poll& poll) {
    Channel channel;
    channel.qubits = {qubit};
    channel.kraus = {Matrix(2, {1, 0, 0, 0}), Matrix(2, {0, 0, 0, 1})};
    const size_t parents = count();
    const std::vector<double> weights = this->piece_weights(channel, poll);
    std::vector<Piece> pieces;
    for (size_t j = 0; j < parents; ++j) {
        const double zero = weights[2 * j], one = weights[2 * j + 1];
        // Outcome 0 told as 0 stays where it is.
        const double ways[4] = {zero * (1 - one_for_zero), zero * one_for_zero, one * zero_for_one,
                                one * (1 - zero_for_one)};
        const std::vector<uint64_t> shares = divide(shots_[j], ways, 4, random_);
        for (int way = 1; way < 4; ++way)
            if (shares[way]) {
                pieces.push_back({j, way / 2, weights[2 * j + way / 2]});
                shots_.push_back(shares[way]);
                bits_.push_back(bits_[j]);
                bits_.back()[clbit] = uint8_t(way % 2);
            }
        shots_[j] = shares[0];
        bits_[j][clbit] = 0;
    }
    Columns<T>::apply(channel, weights, pieces, true, poll);
    drop_empty();
    normalise();
}

// Puts the last column in the place of each that no shot is left to.
template <typename T>
void Trajectories<T>::drop_empty() {
    for (size_t j = count(); j-- > 0;) {
        if (shots_[j]) continue;
        const size_t last = count() - 1;
        if (j != last) {
            this->copy(j, *this, last, 1);
            weights_[j] = weights_[last];
            shots_[j] = shots_[last];
            bits_[j] = std::move(bits_[last]);
        }
        weights_.pop_back();
        shots_.pop_back();
        bits_.pop_back();
    }
    tiles_.resize((count() + LANES<T> - 1) / LANES<T>);
}

// Columns of all too small a norm become unit vectors: what matters is a column's direction.
template <typename T>
void Trajectories<T>::normalise() {
    for (size_t j = 0; j < count(); ++j) {
        if (weights_[j] / (scale_ * scale_) > LIGHT) continue;
        const T factor = T(scale_ / std::sqrt(weights_[j]));
        T* lane = tiles_[j / LANES<T>].get() + j % LANES<T>;
        for (size_t part = 0; part < 2 * this->rows(); ++part) lane[part * LANES<T>] *= factor;
        weights_[j] = scale_ * scale_;
    }
}

template <typename T>
void Trajectories<T>::take(const Trajectories& other, const std::vector<size_t>& which, Poll& poll) {
    Columns<T>::take(other, which, poll);
    for (size_t j : which) {
        shots_.push_back(other.shots_[j]);
        bits_.push_back(other.bits_[j]);
    }
}

template <typename T>
std::unique_ptr<AnyTrajectories> Trajectories<T>::split(const std::vector<uint8_t>& which, Poll& poll) {
    auto out = std::make_unique<Trajectories>(num_qubits_, num_clbits_, threads_, 0, random_.word());
    std::vector<size_t> taken;
    for (size_t j = 0; j < count(); ++j)
        if (which[j]) taken.push_back(j);
    out->take(*this, taken, poll);
    for (size_t j : taken) shots_[j] = 0;
    drop_empty();
    return out;
}

template <typename T>
void Trajectories<T>::absorb(const AnyTrajectories& any, Poll& poll) {
    const auto& other = dynamic_cast<const Trajectories&>(any);
    std::vector<size_t> all(other.count());
    std::iota(all.begin(), all.end(), size_t(0));
    take(other, all, poll);
    done_ += other.done_;
}

template <typename T>
void Trajectories<T>::samples(uint64_t* states, int64_t* columns, Poll& poll) {
    const std::vector<double> norms = this->stored_norms(poll);
    const uint64_t seed = random_.word();
    std::vector<size_t> begins(count() + 1);
    for (size_t j = 0; j < count(); ++j) begins[j + 1] = begins[j] + shots_[j];
    parallel_for(threads_, tiles_.size(), poll, [&](size_t t) {
        // In each column the points in [0, norm) that its shots draw, in order, and how far they are passed.
        const size_t first = t * LANES<T>, end = std::min(count(), first + LANES<T>);
        std::vector<std::vector<double>> points(end - first);
        std::vector<size_t> next(end - first);
        double sums[LANES<T>] = {};
        for (size_t j = first; j < end; ++j) {
            Random random(seed + j);
            for (uint64_t shot = 0; shot < shots_[j]; ++shot) points[j - first].push_back(random.uniform() * norms[j]);
            std::sort(points[j - first].begin(), points[j - first].end());
            std::fill(columns + begins[j], columns + begins[j + 1], int64_t(j));
        }
        for (size_t row = 0; row < this->rows(); ++row) {
            const T* x = tiles_[t].get() + row * 2 * LANES<T>;
            for (size_t lane = 0; lane < end - first; ++lane) {
                const double re = x[lane], im = x[lane + LANES<T>];
                sums[lane] += re * re + im * im;
                while (next[lane] < points[lane].size() && points[lane][next[lane]] < sums[lane])
                    states[begins[first + lane] + next[lane]++] = row;
            }
        }
        // What rounding of the sum has left over falls to the last state that is possible.
        for (size_t lane = 0; lane < end - first; ++lane)
            for (; next[lane] < points[lane].size(); ++next[lane]) {
                size_t row = this->rows() - 1;
                const T* x = tiles_[t].get() + lane;
                while (row > 0 && x[row * 2 * LANES<T>] == 0 && x[row * 2 * LANES<T> + LANES<T>] == 0) --row;
                states[begins[first + lane] + next[lane]] = row;
            }
    });
}

template class Trajectories<float>;
template class Trajectories<double>;

}  // namespace proxima
