// L, the factor of rho = L L^dagger: its columns in tiles, what their weights are, and what has been dropped of it.
#pragma once

#include <complex>
#include <limits>

#include "kernels.h"
#include "state.h"

namespace proxima {

constexpr size_t FIRST_COMPRESS = 64;  // columns; fewer are not worth a truncation

constexpr size_t ANY_RANK = std::numeric_limits<size_t>::max();

// A factor as Python holds it, in either precision.
class AnyFactor : public AnyState {
public:
    // Applies the plan's units from `begin` on, and says which is next: it stops before a channel where there are more
    // than `most` columns. Where `may_stop`, it stops before a channel that the memory does not suffice for, too.
    virtual size_t advance(const Plan& plan, size_t begin, size_t most, bool may_stop, Poll& poll) = 0;
    // Fewer columns, within what the budget allows; does nothing where there is little to find, unless `forced` to look.
    virtual void compress(bool forced, Poll& poll) = 0;

    size_t rank() const override { return weights_.size(); }
    size_t most_columns() const { return most_columns_; }
    double bytes() const override { return tile_bytes() * double(num_tiles()); }

protected:
    AnyFactor(int num_qubits, int threads, double memory);
    virtual size_t num_tiles() const = 0;
    double tile_bytes() const { return double(rows_) * ROW_BYTES; }

    // Of each column of L, its squared norm; their sum is the trace.
    std::vector<double> weights_;
    size_t most_columns_ = 1;
    // L is this factor times what the tiles hold: channels that shrink all columns alike touch none.
    double scale_ = 1;
    // The rank at which the next truncation is worth its cost.
    size_t next_compress_;
};

template <typename T>
class Factor final : public AnyFactor {
public:
    // |0...0>, one column. Raises OutOfMemory.
    Factor(int num_qubits, int threads, double memory);

    size_t advance(const Plan& plan, size_t begin, size_t most, bool may_stop, Poll& poll) override;
    void compress(bool forced, Poll& poll) override;
    std::unique_ptr<AnyState> project(int qubit, int outcome, double share) const override;
    void absorb(const AnyState& other) override;
    double trace() const override;
    void probabilities(double* out, Poll& poll) const override;
    Complex pauli(uint64_t x, uint64_t z, Poll& poll) const override;
    void reduced(const std::vector<int>& qubits, double* out, Poll& poll) const override;
    // rho itself: element (i, j) at the index that has bit q of i at its bit 2q and bit q of j at bit 2q + 1.
    void density(std::complex<T>* out, Poll& poll) const;
    // A bound on the trace distance that rounding in `density` adds.
    double density_rounding() const;

private:
    struct Free {
        void operator()(T* memory) const;
    };
    using Tile = std::unique_ptr<T[], Free>;
    struct Piece {  // an error column that is kept: an operator applied to a parent
        size_t parent;
        int kraus;
        double weight;
    };

    Factor(const Factor& other, int qubit, int outcome, double share);
    size_t num_tiles() const override { return tiles_.size(); }
    Tile new_tile() const;
    void apply(const std::vector<Gate>& gates, Poll& poll);
    bool apply(const Channel& channel, bool may_stop, Poll& poll);
    std::vector<double> piece_weights(const Channel& channel, Poll& poll) const;
    std::vector<Piece> choose(const std::vector<double>& weights, int operators);
    bool fits(size_t columns) const;
    [[noreturn]] void refuse(std::vector<Piece> pieces) const;
    void make_room(size_t columns, Poll& poll);
    void apply_first(const Channel& channel, size_t columns, const std::vector<T>& matrix, Poll& poll);
    std::vector<double> stored_norms(Poll& poll) const;
    bool overlaps(const std::vector<double>& norms) const;

    const Kernels<T>& kernels_;
    std::vector<Tile> tiles_;
};

}  // namespace proxima
