// What the ways to hold a state have in common: a budget of what may be dropped, and questions to be answered.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <vector>

#include "plan.h"
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
    double rounding = 0;  // a bound on what rounding added, as far as it is known only as the run goes on

    // What may be dropped now: the budget is spent evenly over the noise, and what is saved is carried over.
    double allowed() const { return total * share() - spent - rounding; }
    // What pruning may take of it; the rest is for truncations.
    double allowed_to_prune() const { return PRUNED * total * share() - spent - rounding; }
    double share() const { return error > 0 ? std::min(1.0, done / error) : 1.0; }

    static constexpr double PRUNED = 0.95;
};

// A state as Python holds it: unnormalised, the trace it lacks being what was dropped of it.
class AnyState {
public:
    virtual ~AnyState() = default;

    // `share` of the part in which a measurement of the qubit gives `outcome`.
    virtual std::unique_ptr<AnyState> project(int qubit, int outcome, double share) const = 0;
    virtual void absorb(const AnyState& other) = 0;

    virtual double bytes() const = 0;
    virtual size_t rank() const = 0;  // columns; 0 where the state is not kept as columns
    virtual double trace() const = 0;
    virtual void probabilities(double* out, Poll& poll) const = 0;
    // The sum over rows of conj(rho[row][row ^ x]) (-1)^popcount(row & z): i^(number of Y) times a Pauli string's value.
    virtual Complex pauli(uint64_t x, uint64_t z, Poll& poll) const = 0;
    virtual void reduced(const std::vector<int>& qubits, double* out, Poll& poll) const = 0;

    int num_qubits() const { return num_qubits_; }
    void limit(double memory) { memory_ = memory; }

    Budget budget;

protected:
    AnyState(int num_qubits, int threads, double memory)
        : num_qubits_(num_qubits), threads_(usable_threads(threads)), memory_(memory), rows_(size_t(1) << num_qubits) {}

    int num_qubits_, threads_;
    double memory_;  // bytes
    size_t rows_;
};

}  // namespace proxima
