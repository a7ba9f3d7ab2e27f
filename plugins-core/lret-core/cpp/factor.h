// L, the factor of rho = L L^dagger: its columns in tiles, what their weights are, and what has been dropped of it.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "kernels.h"
#include "plan.h"
#include "tape.h"
#include "threads.h"

namespace proxima {

// More memory would be needed than was given.
struct OutOfMemory : std::runtime_error {
    OutOfMemory(double bytes, double tolerance)
        : std::runtime_error("more memory is needed than was given"), bytes(bytes), tolerance(tolerance) {}
    double bytes;      // needed at least
    double tolerance;  // that would let the run pass the point where it stopped; 0 where none would
};

// What of the trace distance may be dropped, and what has been.
struct Budget {
    double total = 0;     // to be spent over the whole run
    double error = 0;     // the sum of all channels' errors over the whole run
    double done = 0;      // ... of those applied
    double spent = 0;     // the traces of the pieces dropped
    double rounding = 0;  // a bound on what rounding in truncations added

    // What may be dropped now: the budget is spent evenly over the noise, and what is saved is carried over.
    double allowed() const { return total * share() - spent - rounding; }
    // What pruning may take of it; the rest is for truncations.
    double allowed_to_prune() const { return PRUNED * total * share() - spent - rounding; }
    double share() const { return error > 0 ? std::min(1.0, done / error) : 1.0; }

    static constexpr double PRUNED = 0.95;
};

constexpr size_t FIRST_COMPRESS = 64;  // columns; fewer are not worth a truncation

// A factor as Python holds it, in either precision.
class AnyFactor {
public:
    virtual ~AnyFactor() = default;
    virtual void advance(const Plan& plan, Poll& poll) = 0;
    // Fewer columns, within what the budget allows; does nothing where there is little to find, unless `forced` to look.
    virtual void compress(bool forced, Poll& poll) = 0;
    virtual std::unique_ptr<AnyFactor> project(int qubit, int outcome) const = 0;
    virtual void absorb(const AnyFactor& other) = 0;

    virtual double trace() const = 0;
    virtual void probabilities(double* out, Poll& poll) const = 0;
    virtual Complex pauli(uint64_t x, uint64_t z, Poll& poll) const = 0;
    virtual void reduced(const std::vector<int>& qubits, double* out, Poll& poll) const = 0;

    // From here on what `advance` does is written down, for `gradient`.
    virtual void record() = 0;
    // Goes back over the one plan that was recorded, after which the factor is |0...0> again. The values are those of the
    // state of trace one, and what was left out of it is taken to be left out whatever the parameters are.
    // Raises std::invalid_argument where not just one plan was recorded, or it depends on more parameters.
    virtual Gradient gradient(const std::vector<PauliTerms>& sums, int num_parameters, Poll& poll) = 0;

    int num_qubits() const { return num_qubits_; }
    size_t rank() const { return weights_.size(); }
    size_t most_columns() const { return most_columns_; }
    double bytes() const { return tile_bytes() * double(num_tiles()); }

    void limit(double memory) { memory_ = memory; }

    Budget budget;

protected:
    AnyFactor(int num_qubits, int threads, double memory);
    virtual size_t num_tiles() const = 0;
    double tile_bytes() const { return double(rows_) * ROW_BYTES; }

    int num_qubits_, threads_;
    double memory_;  // bytes
    size_t rows_;
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

    void advance(const Plan& plan, Poll& poll) override;
    void compress(bool forced, Poll& poll) override;
    std::unique_ptr<AnyFactor> project(int qubit, int outcome) const override;
    void absorb(const AnyFactor& other) override;
    double trace() const override;
    void probabilities(double* out, Poll& poll) const override;
    Complex pauli(uint64_t x, uint64_t z, Poll& poll) const override;
    void reduced(const std::vector<int>& qubits, double* out, Poll& poll) const override;
    void record() override;
    Gradient gradient(const std::vector<PauliTerms>& sums, int num_parameters, Poll& poll) override;

private:
    struct Free {
        void operator()(T* memory) const;
    };
    using Tile = std::unique_ptr<T[], Free>;
    Factor(const Factor& other, int qubit, int outcome);
    size_t num_tiles() const override { return tiles_.size(); }
    Tile new_tile() const;
    void apply(const std::vector<Gate>& gates, Poll& poll);
    void apply(const Channel& channel, Poll& poll);
    std::vector<double> piece_weights(const Channel& channel, Poll& poll) const;
    std::vector<Piece> choose(const std::vector<double>& weights, int operators);
    bool fits(size_t columns) const;
    [[noreturn]] void refuse(std::vector<Piece> pieces) const;
    void make_room(size_t columns, Poll& poll);
    void apply_first(const Channel& channel, size_t columns, const std::vector<T>& matrix, Poll& poll);
    std::vector<double> stored_norms(Poll& poll) const;
    bool overlaps(const std::vector<double>& norms) const;
    std::vector<Tile> copy(const std::vector<Tile>& tiles) const;
    void record(const Channel& channel, size_t parents, const std::vector<Piece>& pieces, double factor, bool scales);

    struct Adjoint;  // the pass back

    const Kernels<T>& kernels_;
    std::vector<Tile> tiles_;
    std::unique_ptr<Tape<Tile>> tape_;  // null: nothing is written down
};

}  // namespace proxima
