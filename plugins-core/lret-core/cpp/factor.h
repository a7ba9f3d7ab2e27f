// L, the factor of rho = L L^dagger: its columns in tiles, what their weights are, and what has been dropped of it.
#pragma once

#include <complex>

#include "columns.h"
#include "state.h"
#include "tape.h"

namespace proxima {

constexpr size_t FIRST_COMPRESS = 64;  // columns; fewer are not worth a truncation

// A factor as Python holds it, in either precision.
class AnyFactor : public AnyState {
public:
    // Applies the plan's units from `begin` on, and says which is next. Where `most` is given, it stops before a channel
    // where there are more columns than `most` has for that unit, or that the memory does not suffice for.
    virtual size_t advance(const Plan& plan, size_t begin, const std::vector<double>& most, Poll& poll) = 0;
    // Fewer columns, within what the budget allows; does nothing where there is little to find, unless `forced` to look.
    virtual void compress(bool forced, Poll& poll) = 0;

    // From here on what `advance` does is written down, for `gradient`.
    virtual void record() = 0;
    // Goes back over the one plan that was recorded, after which the factor is |0...0> again. The values are those of the
    // state of trace one, and what was left out of it is taken to be left out whatever the parameters are.
    // Raises std::invalid_argument where not just one plan was recorded, or it depends on more parameters.
    virtual Gradient gradient(const std::vector<PauliTerms>& sums, int num_parameters, Poll& poll) = 0;

    size_t most_columns() const { return most_columns_; }

protected:
    AnyFactor(int num_qubits, int threads, double memory);
    size_t most_columns_ = 1;
    // The rank at which the next truncation is worth its cost.
    size_t next_compress_;
};

template <typename T>
class Factor final : public AnyFactor, public Columns<T> {
public:
    // |0...0>, one column. Raises OutOfMemory.
    Factor(int num_qubits, int threads, double memory);

    size_t advance(const Plan& plan, size_t begin, const std::vector<double>& most, Poll& poll) override;
    void compress(bool forced, Poll& poll) override;
    double bytes() const override { return Columns<T>::bytes(); }
    size_t rank() const override { return this->count(); }
    std::unique_ptr<AnyState> project(int qubit, int outcome, double share) const override;
    void absorb(const AnyState& other) override;
    double trace() const override;
    void probabilities(double* out, Poll& poll) const override;
    Complex pauli(uint64_t x, uint64_t z, Poll& poll) const override;
    void reduced(const std::vector<int>& qubits, double* out, Poll& poll) const override;
    void record() override;
    Gradient gradient(const std::vector<PauliTerms>& sums, int num_parameters, Poll& poll) override;
    // rho itself: element (i, j) at the index that has bit q of i at its bit 2q and bit q of j at bit 2q + 1.
    void density(std::complex<T>* out, Poll& poll) const;
    // A bound on the trace distance that rounding in `density` adds.
    double density_rounding() const;

private:
    using typename Columns<T>::Tile;
    using Columns<T>::kernels_;
    using Columns<T>::tiles_;
    using Columns<T>::weights_;  // their sum is the trace
    using Columns<T>::scale_;
    using AnyState::num_qubits_;
    using AnyState::threads_;

    Factor(const Factor& other, int qubit, int outcome, double share);
    bool apply(const Channel& channel, bool may_stop, Poll& poll);
    std::vector<Piece> choose(const std::vector<double>& weights, int operators);
    bool fits(size_t columns) const;
    [[noreturn]] void refuse(std::vector<Piece> pieces) const;
    bool overlaps(Poll& poll) const;
    std::vector<Tile> copies(const std::vector<Tile>& tiles) const;
    void record(const Channel& channel, const std::vector<Piece>& pieces);

    struct Adjoint;  // the pass back

    std::unique_ptr<Tape<Tile>> tape_;  // null: nothing is written down
};

}  // namespace proxima
