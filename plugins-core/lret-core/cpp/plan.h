// What is to be done to L, made from a run of a circuit's operations that all happen.
//
// Gates are fused; noise is moved and merged so that as few error columns as possible are ever made:
// - a one-qubit channel moves through one-qubit gates (U E = (U E U^dagger) U) and merges with those it meets;
// - a qubit that no gate has yet tied to another is one 2 x 2 density matrix, so its whole noise is one bit flip;
// - Pauli noise that only the last gate on its qubits follows is carried through it and kept for the answer (`Tail`).
// Where gradients are wanted, channels must not depend on the open parameters, so noise is moved through a gate that has
// one only where that does not change it to first order, as with depolarizing noise and rotations.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "slopes.h"

namespace proxima {

// Operations as columns, as in proxima.contracts.circuit.Columns; not owned.
struct Operations {
    size_t count = 0;
    const uint8_t* ops = nullptr;
    const int32_t* qubit_offsets = nullptr;
    const int32_t* qubits = nullptr;
    const int32_t* param_offsets = nullptr;
    const double* params = nullptr;
    const int32_t* payloads = nullptr;
    size_t num_qubits_listed = 0, num_params_listed = 0;
    // Where gradients are wanted: for each of `params` the open parameter it stands for (-1: none) and its factor.
    const int32_t* param_refs = nullptr;
    const double* coefficients = nullptr;
    std::vector<std::vector<Matrix>> matrices;  // of unitary and kraus operations, by payload
};

struct Gate {
    std::vector<int> qubits;
    Matrix matrix;
    std::vector<Slope> slopes;  // of the matrix, by the open parameters it depends on
};

// Gates, then channels. Gates of one step need not wait for each other's tiles: columns are independent.
struct Step {
    std::vector<Gate> gates;
    std::vector<Channel> channels;
};

// Pauli noise on one or two qubits that is applied to the answer: its eigenvalues on the 4^k Pauli strings.
struct Tail {
    std::vector<int> qubits;
    std::vector<double> eigenvalues;
};

// A part of a plan between which a run may stop: the gates of a step, or one channel; the other is null.
struct Unit {
    size_t step;
    const std::vector<Gate>* gates;
    const Channel* channel;
};

struct Plan {
    std::vector<Step> steps;
    std::vector<Tail> tails;
    double error = 0;     // the sum of the channels' errors: how noisy the plan is
    double rounding = 0;  // a bound on the trace distance that rounding adds, in units of the precision's roundoff

    std::vector<Unit> units() const;  // in order; they point into the plan
};

// Raises std::invalid_argument, naming the row, for what is not a circuit on `num_qubits` qubits.
//   fresh: the qubits begin in |0>.  last: nothing follows, so noise may be kept for the answer.
Plan plan_of(const Operations& operations, int num_qubits, bool fresh, bool last);

// An upper bound on the trace distance that applying a gate to k qubits adds, in units of roundoff.
double gate_rounding(int k);

}  // namespace proxima
