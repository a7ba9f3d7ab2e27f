// What a plan does to a density matrix: real matrices on its Pauli coefficients tr(P rho).
//
// A coefficient's index has the letter of qubit q (I, X, Y, Z) as its base-4 digit q. A Hermitian rho has real
// coefficients, so that they are half the numbers of rho and a gate or channel is a real matrix, its transfer matrix.
#pragma once

#include <vector>

#include "plan.h"

namespace proxima {

constexpr int MOST_SUPER_QUBITS = 4;

struct Superop {
    std::vector<int> qubits;     // ascending
    std::vector<double> matrix;  // 4^k by 4^k, row-major; the first qubit is the lowest digit of the index
};

struct Superops {
    int num_qubits = 0;
    std::vector<Superop> list;
    double products = 0;  // multiplications for each coefficient
    double rounding = 0;  // a bound on the trace distance that rounding adds, in units of the precision's roundoff
};

// A unit of the plan on more than MOST_SUPER_QUBITS qubits: this many, or 0.
int too_wide(const Plan& plan);

// The plan's units from `begin` on, and its tails: gates and channels between two two-qubit gates are one matrix.
Superops superops_of(const Plan& plan, size_t begin, int num_qubits);

// Superops that act one after another on a part of the coefficients: the digits `resident` vary, the others are fixed.
struct Pass {
    std::vector<int> resident;  // ascending
    std::vector<size_t> ops;
};

// At most `digits` digits are resident in a pass, the lowest `always` among them wherever there is more than one pass.
std::vector<Pass> passes_of(const Superops& ops, int digits, int always);

}  // namespace proxima
