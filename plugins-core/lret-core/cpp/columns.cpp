#include "columns.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

namespace proxima {

constexpr size_t BLOCK = 64;                    // groups of rows
constexpr size_t LARGEST_SLAB = 2 * HUGE_PAGE;  // bytes; of several tiles

Scaling scaling_of(const Channel& channel) {
    if (!channel.keeps_first || channel.probabilities.empty() || !(channel.probabilities[0] > 0)) return {false, 1};
    return {true, 1 / std::sqrt(channel.probabilities[0])};
}

template <typename T>
Columns<T>::Columns(int num_qubits, int threads)
    : kernels_(kernels<T>()), num_qubits_(num_qubits), threads_(usable_threads(threads)) {}

template <typename T>
typename Columns<T>::Tile Columns<T>::new_scratch(size_t rows) {
    return Tile(static_cast<T*>(allocate(rows * ROW_BYTES)));
}

// Small tiles share slabs, each of twice as many as the one before.
template <typename T>
std::vector<typename Columns<T>::Tile> Columns<T>::new_tiles(size_t count) {
    const size_t tile_bytes = rows() * ROW_BYTES;
#ifdef __SANITIZE_ADDRESS__
    constexpr size_t most = 1;  // so that a step beyond a tile is seen
#else
    const size_t most = std::max<size_t>(1, LARGEST_SLAB / tile_bytes);
#endif
    std::vector<Tile> out;
    std::vector<std::pair<char*, size_t>> unset;  // what is to be set to 0, in huge pages
    while (out.size() < count) {
        if (slab_used_ == slab_tiles_) {
            slab_tiles_ = std::clamp<size_t>(2 * slab_tiles_, 1, most);
            slab_used_ = 0;
            const size_t bytes = slab_tiles_ * tile_bytes;
            slab_.reset(allocate(bytes), std::free);
            for (size_t at = 0; at < bytes; at += HUGE_PAGE)
                unset.emplace_back(static_cast<char*>(slab_.get()) + at, std::min(HUGE_PAGE, bytes - at));
        }
        out.push_back(Tile(static_cast<T*>(slab_.get()) + slab_used_++ * rows() * 2 * LANES<T>, Free{slab_}));
    }
    Poll quiet([] { return true; });
    parallel_for(threads_, unset.size(), quiet, [&](size_t i) { std::memset(unset[i].first, 0, unset[i].second); });
    return out;
}

template <typename T>
void Columns<T>::start() {
    tiles_ = new_tiles(1);
    tiles_[0][0] = 1;
    weights_ = {1};
}

template <typename T>
void Columns<T>::take(const Columns& other, const std::vector<size_t>& which, Poll& poll) {
    const size_t before = count();
    make_room(before + which.size());
    for (size_t j = 0; j < which.size(); ++j) {
        poll();
        copy(before + j, other, which[j], other.scale_ / scale_);
        weights_.push_back(other.weights_[which[j]]);
    }
}

template <typename T>
void Columns<T>::copy(size_t to, const Columns& other, size_t from, double factor) {
    const std::vector<T> matrix = flat<T>(Matrix::identity(2), factor);
    const int qubit = 0;
    kernels_.spawn(tiles_[to / LANES<T>].get(), int(to % LANES<T>), other.tiles_[from / LANES<T>].get(),
                   int(from % LANES<T>), 0, rows() / 2, 1, &qubit, matrix.data(), nullptr);
}

template <typename T>
void Columns<T>::apply(const std::vector<Gate>& gates, Poll& poll) {
    std::vector<std::vector<T>> matrices;
    for (const Gate& gate : gates) matrices.push_back(flat<T>(gate.matrix, 1));
    parallel_for(threads_, tiles_.size(), poll, [&](size_t t) {
        T* tile = tiles_[t].get();
        for (size_t g = 0; g < gates.size(); ++g) {
            const std::vector<int>& on = gates[g].qubits;
            const T* matrix = matrices[g].data();
            if (on.size() == 1) {
                kernels_.gate1(tile, rows(), on[0], matrix);
            } else if (on.size() == 2) {
                kernels_.gate2(tile, rows(), on[0], on[1], matrix);
            } else {
                const Tile scratch = new_scratch(size_t(1) << on.size());
                kernels_.gatek(tile, rows(), int(on.size()), on.data(), matrix, scratch.get());
            }
            poll();
        }
    });
}

template <typename T>
std::vector<double> Columns<T>::piece_weights(const Channel& channel, Poll& poll) const {
    const size_t operators = channel.kraus.size();
    std::vector<double> out(count() * operators);
    if (!channel.probabilities.empty()) {
        for (size_t j = 0; j < count(); ++j)
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
        kernels_.moments(tiles_[t].get(), rows(), k, channel.qubits.data(), moments.data());
        for (size_t j = t * LANES<T>; j < std::min(count(), (t + 1) * LANES<T>); ++j)
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

template <typename T>
void Columns<T>::apply(const Channel& channel, const std::vector<double>& weights, const std::vector<Piece>& pieces,
                       bool normalised, Poll& poll) {
    const int operators = int(channel.kraus.size()), k = int(channel.qubits.size());
    const auto [scales, factor] = scaling_of(channel);
    const size_t parents = count(), first_tile = parents / LANES<T>, end = parents + pieces.size();
    make_room(end);
    std::vector<std::vector<T>> matrices;
    for (const Matrix& kraus : channel.kraus) matrices.push_back(flat<T>(kraus, factor));
    std::vector<std::vector<T>> own(normalised ? pieces.size() : 0);
    for (size_t p = 0; p < own.size(); ++p)
        own[p] = flat<T>(channel.kraus[pieces[p].kraus],
                         factor * std::sqrt(weights_[pieces[p].parent] / pieces[p].weight));
    // A block of rows at a time, which stays in cache for all columns of a tile and for their parents.
    const size_t groups = rows() >> k, blocks = (groups + BLOCK - 1) / BLOCK, parts = std::min<size_t>(blocks, 4);
    const int threads = pieces.size() * rows() < WORTH_THREADS ? 1 : threads_;
    parallel_for(threads, ((end + LANES<T> - 1) / LANES<T> - first_tile) * parts, poll, [&](size_t item) {
        const size_t begin = (first_tile + item / parts) * LANES<T>, part = item % parts;
        std::vector<T> scratch(size_t(2) << k);
        for (size_t block = blocks * part / parts; block < blocks * (part + 1) / parts; ++block)
            for (size_t to = std::max(parents, begin); to < std::min(end, begin + LANES<T>); ++to) {
                const Piece& piece = pieces[to - parents];
                kernels_.spawn(tiles_[to / LANES<T>].get(), int(to % LANES<T>), tiles_[piece.parent / LANES<T>].get(),
                               int(piece.parent % LANES<T>), block * BLOCK, std::min(groups, (block + 1) * BLOCK), k,
                               channel.qubits.data(), (normalised ? own[to - parents] : matrices[piece.kraus]).data(),
                               scratch.data());
            }
    });
    for (const Piece& piece : pieces) weights_.push_back(normalised ? weights_[piece.parent] : piece.weight);
    for (size_t j = 0; j < parents; ++j) weights_[j] = weights[j * operators];
    if (scales) {
        scale_ /= factor;
    } else {
        apply_first(channel, parents, matrices[0], poll);
    }
}

template <typename T>
void Columns<T>::apply_first(const Channel& channel, size_t columns, const std::vector<T>& matrix, Poll& poll) {
    // The last tile of the parents holds new columns too: those are put back as they were.
    const size_t shared = columns / LANES<T>, begin = columns % LANES<T>;
    Tile before;
    if (begin && count() > columns) {
        before = new_scratch(rows());
        std::memcpy(before.get(), tiles_[shared].get(), rows() * ROW_BYTES);
    }
    const int k = int(channel.qubits.size());
    parallel_for(threads_, (columns + LANES<T> - 1) / LANES<T>, poll, [&](size_t t) {
        const Tile scratch = new_scratch(size_t(1) << k);
        kernels_.gatek(tiles_[t].get(), rows(), k, channel.qubits.data(), matrix.data(), scratch.get());
    });
    if (before)
        for (size_t part = 0; part < 2 * rows(); ++part)
            std::copy(before.get() + part * LANES<T> + begin, before.get() + (part + 1) * LANES<T>,
                      tiles_[shared].get() + part * LANES<T> + begin);
}

template <typename T>
void Columns<T>::make_room(size_t columns) {
    const size_t before = tiles_.size(), wanted = (columns + LANES<T> - 1) / LANES<T>;
    if (wanted <= before) return;
    std::vector<Tile> added = new_tiles(wanted - before);
    std::move(added.begin(), added.end(), std::back_inserter(tiles_));
}

template <typename T>
std::vector<double> Columns<T>::stored_norms(Poll& poll) const {
    std::vector<double> out(tiles_.size() * LANES<T>);
    parallel_for(threads_, tiles_.size(), poll,
                 [&](size_t t) { kernels_.norms(tiles_[t].get(), rows(), out.data() + t * LANES<T>); });
    return out;
}

template class Columns<float>;
template class Columns<double>;

}  // namespace proxima
