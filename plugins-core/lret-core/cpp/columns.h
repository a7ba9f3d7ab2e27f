// Columns of 2^n amplitudes in tiles (kernels.h): what gates and channels do to them, and their squared norms.
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "kernels.h"
#include "memory.h"
#include "plan.h"
#include "threads.h"

namespace proxima {

// A new column: an operator of a channel applied to a column that is there.
struct Piece {
    size_t parent;
    int kraus;
    double weight;  // its squared norm
};

// Where a channel's first operator only scales, the columns stay, their common scale takes 1 / factor, and the new columns
// are multiplied by factor; else it is 1.
struct Scaling {
    bool scales;
    double factor;
};

Scaling scaling_of(const Channel& channel);

constexpr size_t WORTH_THREADS = size_t(1) << 15;  // amplitudes; for fewer, waking threads costs more than it saves

template <typename T>
class Columns {
public:
    Columns(int num_qubits, int threads);

    size_t count() const { return weights_.size(); }
    const std::vector<double>& weights() const { return weights_; }
    double tile_bytes() const { return double(size_t(1) << num_qubits_) * ROW_BYTES; }
    double bytes() const { return tile_bytes() * double(tiles_.size()); }

    // |0...0>, the one column.
    void start();
    // Some of another's columns, in this order.
    void take(const Columns& other, const std::vector<size_t>& which, Poll& poll);
    void apply(const std::vector<Gate>& gates, Poll& poll);
    // The weight of each operator's piece of each column, column by column.
    std::vector<double> piece_weights(const Channel& channel, Poll& poll) const;
    // The channel's first operator on every column, and `pieces`, by parent, as new columns. Where `normalised`, a new
    // column has its parent's norm instead of its own.
    void apply(const Channel& channel, const std::vector<double>& weights, const std::vector<Piece>& pieces,
               bool normalised, Poll& poll);

protected:
    // Memory of its own, or a part of a slab, which lives as long as any part of it.
    struct Free {
        std::shared_ptr<void> slab;
        void operator()(T* memory) const {
            if (!slab) std::free(memory);
        }
    };
    using Tile = std::unique_ptr<T[], Free>;

    size_t rows() const { return size_t(1) << num_qubits_; }
    std::vector<Tile> new_tiles(size_t count);
    static Tile new_scratch(size_t rows);
    void make_room(size_t columns);
    // Column `to` becomes a column of `from`'s, times a factor.
    void copy(size_t to, const Columns& other, size_t from, double factor);
    void apply_first(const Channel& channel, size_t columns, const std::vector<T>& matrix, Poll& poll);
    std::vector<double> stored_norms(Poll& poll) const;

    const Kernels<T>& kernels_;
    int num_qubits_, threads_;
    std::vector<Tile> tiles_;
    // Of each column, its squared norm.
    std::vector<double> weights_;
    // The columns are this factor times what the tiles hold: channels that shrink all columns alike touch none.
    double scale_ = 1;

private:
    std::shared_ptr<void> slab_;  // of zeros, as far as no tile has been made of it
    size_t slab_tiles_ = 0, slab_used_ = 0;
};

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

}  // namespace proxima
