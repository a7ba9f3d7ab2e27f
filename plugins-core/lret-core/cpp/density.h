// A density matrix by its Pauli coefficients (superops.h).
#pragma once

#include "factor.h"
#include "pauli_kernels.h"
#include "superops.h"

namespace proxima {

// rho <- the Pauli noise of `tails`, whose qubits are bits of its index, on rho: (rows, rows), row-major, real parts before
// imaginary parts.
void mix(double* rho, size_t rows, const std::vector<Tail>& tails, Poll& poll);

// A density matrix as Python holds it, in either precision.
class AnyDensity : public AnyState {
public:
    virtual void advance(const Superops& ops, Poll& poll) = 0;
    size_t rank() const override { return 0; }
    double progress() const { return progress_; }

protected:
    using AnyState::AnyState;

    double progress_ = 0;  // how much of the last `advance` is done
};

template <typename T>
class Density final : public AnyDensity {
public:
    // |0...0>. Raises OutOfMemory.
    Density(int num_qubits, int threads, double memory);
    // L L^dagger, with what its budget says. Raises OutOfMemory.
    Density(const Factor<T>& factor, int threads, double memory, Poll& poll);

    void advance(const Superops& ops, Poll& poll) override;
    std::unique_ptr<AnyState> project(int qubit, int outcome, double share) const override;
    void absorb(const AnyState& other) override;
    double bytes() const override { return double(size_) * sizeof(T); }
    double trace() const override { return values_[0]; }
    void probabilities(double* out, Poll& poll) const override;
    Complex pauli(uint64_t x, uint64_t z, Poll& poll) const override;
    void reduced(const std::vector<int>& qubits, double* out, Poll& poll) const override;

private:
    struct Free {
        void operator()(T* memory) const;
    };
    using Values = std::unique_ptr<T[], Free>;
    static Values new_values(size_t count);
    void apply(const Superops& ops, const Pass& pass, const std::vector<std::vector<T>>& matrices, Poll& poll);
    // What relative errors of a roundoff in each coefficient may come to as a trace distance.
    double one_rounding() const;
    // At least the Frobenius norm of the state, which is no more than its trace.
    double norm() const { return std::min(1.0, trace() + budget.rounding); }

    size_t size_;
    Values values_;
};

}  // namespace proxima
