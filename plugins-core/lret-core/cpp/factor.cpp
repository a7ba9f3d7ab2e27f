#include "factor.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <numeric>
#include <string>

namespace proxima {
namespace {

template <typename T>
std::vector<T> flat(const Matrix& matrix, double factor) {
    std::vector<T> out;
    out.reserve(2 * matrix.at.size());
    for (const Complex& entry : matrix.at) {
        out.push_back(T(entry.real() * factor));
        out.push_back(T(entry.imag() * factor));
    }
    return out;
}

constexpr size_t WORTH_THREADS = size_t(1) << 20;  // amplitudes; for fewer, starting threads costs more than it saves

}  // namespace

AnyFactor::AnyFactor(int num_qubits, int threads, double memory)
    : AnyState(num_qubits, threads, memory), next_compress_(FIRST_COMPRESS) {
    if (tile_bytes() > memory) throw OutOfMemory(tile_bytes(), 0);
}

template <typename T>
void Factor<T>::Free::operator()(T* memory) const {
    std::free(memory);
}

template <typename T>
typename Factor<T>::Tile Factor<T>::new_tile() const {
    Tile tile(static_cast<T*>(std::aligned_alloc(64, rows_ * ROW_BYTES)));
    if (!tile) throw std::bad_alloc();
    std::memset(tile.get(), 0, rows_ * ROW_BYTES);
    return tile;
}

template <typename T>
Factor<T>::Factor(int num_qubits, int threads, double memory)
    : AnyFactor(num_qubits, threads, memory), kernels_(kernels<T>()) {
    tiles_.push_back(new_tile());
    tiles_[0][0] = 1;
    weights_ = {1};
}

template <typename T>
size_t Factor<T>::advance(const Plan& plan, size_t begin, size_t most, bool may_stop, Poll& poll) {
    const std::vector<Unit> units = plan.units();
    for (size_t at = begin; at < units.size(); ++at) {
        if (units[at].gates) {
            apply(*units[at].gates, poll);
            continue;
        }
        if (rank() > most || !apply(*units[at].channel, may_stop, poll)) return at;
        most_columns_ = std::max(most_columns_, rank());
        if (rank() >= next_compress_) compress(false, poll);
    }
    return units.size();
}

template <typename T>
void Factor<T>::apply(const std::vector<Gate>& gates, Poll& poll) {
    std::vector<std::vector<T>> matrices;
    for (const Gate& gate : gates) matrices.push_back(flat<T>(gate.matrix, 1));
    parallel_for(threads_, tiles_.size(), poll, [&](size_t t) {
        T* tile = tiles_[t].get();
        for (size_t g = 0; g < gates.size(); ++g) {
            const std::vector<int>& on = gates[g].qubits;
            const T* matrix = matrices[g].data();
            if (on.size() == 1) {
                kernels_.gate1(tile, rows_, on[0], matrix);
            } else if (on.size() == 2) {
                kernels_.gate2(tile, rows_, on[0], on[1], matrix);
            } else {
                Tile scratch(static_cast<T*>(std::aligned_alloc(64, ROW_BYTES << on.size())));
                if (!scratch) throw std::bad_alloc();
                kernels_.gatek(tile, rows_, int(on.size()), on.data(), matrix, scratch.get());
            }
            poll();
        }
    });
}

// The weight of each piece, parent by parent: K_0's, then the others'.
template <typename T>
std::vector<double> Factor<T>::piece_weights(const Channel& channel, Poll& poll) const {
    const size_t operators = channel.kraus.size();
    std::vector<double> out(rank() * operators);
    if (!channel.probabilities.empty()) {
        for (size_t j = 0; j < rank(); ++j)
            for (size_t k = 0; k < operators; ++k) out[j * operators + k] = weights_[j] * channel.probabilities[k];
        return out;
    }
    // <l|K^dagger K|l> from each column's density matrix on the channel's qubits.
    const int k = int(channel.qubits.size()), size = 1 << k;
    std::vector<Matrix> squares;
    for (const Matrix& kraus : channel.kraus) squares.push_back(adjoint(kraus) * kraus);
    const size_t plane = size_t(size) * size * LANES<T>;
    parallel_for(threads_, tiles_.size(), poll, [&](size_t t) {
        std::vector<double> moments(2 * plane);
        kernels_.moments(tiles_[t].get(), rows_, k, channel.qubits.data(), moments.data());
        for (size_t j = t * LANES<T>; j < std::min(rank(), (t + 1) * LANES<T>); ++j)
            for (size_t o = 0; o < operators; ++o) {
                double sum = 0;
                for (int e = 0; e < size * size; ++e) {
                    const Complex& s = squares[o].at[e];
                    const size_t at = size_t(e) * LANES<T> + j % LANES<T>;
                    sum += s.real() * moments[at] - s.imag() * moments[plane + at];
                }
                out[j * operators + o] = std::max(0.0, sum) * scale_ * scale_;
            }
    });
    return out;
}

// Drops the lightest error pieces that the budget allows, and says which are to be made, by parent.
template <typename T>
std::vector<typename Factor<T>::Piece> Factor<T>::choose(const std::vector<double>& weights, int operators) {
    std::vector<size_t> order;
    for (size_t i = 0; i < weights.size(); ++i)
        if (i % operators) order.push_back(i);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return weights[a] != weights[b] ? weights[a] < weights[b] : a < b;
    });
    const double allowed = budget.allowed_to_prune();
    double dropped = 0;
    size_t first = 0;
    while (first < order.size() && dropped + weights[order[first]] <= std::max(allowed, 0.0))
        dropped += weights[order[first++]];
    budget.spent += dropped;
    order.erase(order.begin(), order.begin() + long(first));
    std::sort(order.begin(), order.end());
    std::vector<Piece> out;
    for (size_t i : order) out.push_back({i / operators, int(i % operators), weights[i]});
    return out;
}

template <typename T>
bool Factor<T>::apply(const Channel& channel, bool may_stop, Poll& poll) {
    poll();
    budget.done += channel.error;
    const int operators = int(channel.kraus.size());
    const double first_weight = channel.probabilities.empty() ? 1 : channel.probabilities[0];
    // Where the first operator only scales, the columns stay and `scale_` takes the factor.
    const bool scales = channel.keeps_first && !channel.probabilities.empty() && first_weight > 0;
    const double factor = scales ? 1 / std::sqrt(first_weight) : 1;

    std::vector<double> weights = piece_weights(channel, poll);
    const double spent = budget.spent;
    std::vector<Piece> pieces = choose(weights, operators);
    if (!fits(rank() + pieces.size())) {  // a truncation may make room
        budget.spent = spent;
        compress(true, poll);
        const double before = budget.spent;
        weights = piece_weights(channel, poll);
        pieces = choose(weights, operators);
        if (!fits(rank() + pieces.size())) {
            if (!may_stop) refuse(std::move(pieces));
            budget.spent = before;
            budget.done -= channel.error;
            return false;
        }
    }
    const size_t parents = rank();
    make_room(parents + pieces.size(), poll);

    std::vector<std::vector<T>> matrices;
    for (const Matrix& kraus : channel.kraus) matrices.push_back(flat<T>(kraus, factor));
    const int k = int(channel.qubits.size());
    const size_t first_tile = parents / LANES<T>, end = parents + pieces.size();
    const int threads = pieces.size() * rows_ < WORTH_THREADS ? 1 : threads_;
    parallel_for(threads, (end + LANES<T> - 1) / LANES<T> - first_tile, poll, [&](size_t t) {
        const size_t begin = (first_tile + t) * LANES<T>;
        std::vector<T> scratch(size_t(2) << k);
        for (size_t to = std::max(parents, begin); to < std::min(end, begin + LANES<T>); ++to) {
            const Piece& piece = pieces[to - parents];
            kernels_.spawn(tiles_[to / LANES<T>].get(), int(to % LANES<T>), tiles_[piece.parent / LANES<T>].get(),
                           int(piece.parent % LANES<T>), rows_, k, channel.qubits.data(), matrices[piece.kraus].data(),
                           scratch.data());
        }
    });
    for (const Piece& piece : pieces) weights_.push_back(piece.weight);
    for (size_t j = 0; j < parents; ++j) weights_[j] = weights[j * operators];
    if (scales) {
        scale_ *= std::sqrt(first_weight);
    } else {
        apply_first(channel, parents, matrices[0], poll);
    }
    return true;
}

template <typename T>
void Factor<T>::apply_first(const Channel& channel, size_t columns, const std::vector<T>& matrix, Poll& poll) {
    // The last tile of the parents holds new columns too: those are put back as they were.
    const size_t shared = columns / LANES<T>, begin = columns % LANES<T>;
    Tile before;
    if (begin && rank() > columns) {
        before = new_tile();
        std::memcpy(before.get(), tiles_[shared].get(), rows_ * ROW_BYTES);
    }
    const int k = int(channel.qubits.size());
    parallel_for(threads_, (columns + LANES<T> - 1) / LANES<T>, poll, [&](size_t t) {
        Tile scratch(static_cast<T*>(std::aligned_alloc(64, size_t(ROW_BYTES) << k)));
        if (!scratch) throw std::bad_alloc();
        kernels_.gatek(tiles_[t].get(), rows_, k, channel.qubits.data(), matrix.data(), scratch.get());
    });
    if (before)
        for (size_t part = 0; part < 2 * rows_; ++part)
            std::copy(before.get() + part * LANES<T> + begin, before.get() + (part + 1) * LANES<T>,
                      tiles_[shared].get() + part * LANES<T> + begin);
}

// Whether that many columns, and a tile for apply_first, keep to the memory given.
template <typename T>
bool Factor<T>::fits(size_t columns) const {
    return tile_bytes() * double(columns / LANES<T> + 2) <= memory_;
}

template <typename T>
void Factor<T>::refuse(std::vector<Piece> pieces) const {
    const size_t room = size_t(std::max(0.0, memory_ / tile_bytes() - 2)) * LANES<T>;
    const size_t over = std::min(pieces.size(), rank() + pieces.size() - std::min(room, rank() + pieces.size()));
    std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.weight < b.weight; });
    double weight = budget.spent + budget.rounding;
    for (size_t i = 0; i < over; ++i) weight += pieces[i].weight;
    throw OutOfMemory(tile_bytes() * double((rank() + pieces.size()) / LANES<T> + 2), weight / budget.share());
}

template <typename T>
void Factor<T>::make_room(size_t columns, Poll& poll) {
    const size_t before = tiles_.size(), wanted = (columns + LANES<T> - 1) / LANES<T>;
    if (wanted <= before) return;
    std::vector<Tile> added(wanted - before);
    const int threads = added.size() * LANES<T> * rows_ < WORTH_THREADS ? 1 : threads_;
    parallel_for(threads, added.size(), poll, [&](size_t t) { added[t] = new_tile(); });
    std::move(added.begin(), added.end(), std::back_inserter(tiles_));
}

template <typename T>
std::vector<double> Factor<T>::stored_norms(Poll& poll) const {
    std::vector<double> out(tiles_.size() * LANES<T>);
    parallel_for(threads_, tiles_.size(), poll,
                 [&](size_t t) { kernels_.norms(tiles_[t].get(), rows_, out.data() + t * LANES<T>); });
    return out;
}

template <typename T>
Factor<T>::Factor(const Factor& other, int qubit, int outcome, double share)
    : AnyFactor(other.num_qubits_, other.threads_, other.memory_), kernels_(other.kernels_) {
    budget = other.budget;
    most_columns_ = other.most_columns_;
    scale_ = other.scale_ * std::sqrt(share);
    if (2 * other.bytes() > memory_) throw OutOfMemory(2 * other.bytes(), 0);
    for (const Tile& tile : other.tiles_) {
        tiles_.push_back(new_tile());
        for (size_t row = 0; row < rows_; ++row)
            if (int(row >> qubit & 1) == outcome)
                std::memcpy(tiles_.back().get() + row * 2 * LANES<T>, tile.get() + row * 2 * LANES<T>, ROW_BYTES);
    }
    Poll quiet([] { return true; });
    weights_ = stored_norms(quiet);
    weights_.resize(other.rank());
    for (double& weight : weights_) weight *= scale_ * scale_;
    next_compress_ = std::max(FIRST_COMPRESS, other.next_compress_);
}

template <typename T>
std::unique_ptr<AnyState> Factor<T>::project(int qubit, int outcome, double share) const {
    return std::unique_ptr<AnyState>(new Factor(*this, qubit, outcome, share));
}

template <typename T>
void Factor<T>::absorb(const AnyState& any) {
    const auto& other = dynamic_cast<const Factor&>(any);
    Poll quiet([] { return true; });
    const size_t before = rank();
    if (!fits(before + other.rank())) throw OutOfMemory(bytes() + other.bytes(), 0);
    make_room(before + other.rank(), quiet);
    const std::vector<T> factor = flat<T>(Matrix::identity(2), other.scale_ / scale_);
    const int qubit = 0;
    for (size_t j = 0; j < other.rank(); ++j)
        kernels_.spawn(tiles_[(before + j) / LANES<T>].get(), int((before + j) % LANES<T>),
                       other.tiles_[j / LANES<T>].get(), int(j % LANES<T>), rows_, 1, &qubit, factor.data(), nullptr);
    weights_.insert(weights_.end(), other.weights_.begin(), other.weights_.end());
    budget.total += other.budget.total;
    budget.spent += other.budget.spent;
    budget.rounding += other.budget.rounding;
    most_columns_ = std::max({most_columns_, other.most_columns_, rank()});
    if (rank() >= next_compress_) compress(false, quiet);
}

template class Factor<float>;
template class Factor<double>;

}  // namespace proxima
