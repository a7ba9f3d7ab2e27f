// The gates of the vocabulary (proxima.contracts.operations), by their operation codes.
#pragma once

#include "matrix.h"

namespace proxima {

enum Op {
    ID = 0, X, Y, Z, H, S, SDG, T, TDG, SX, SXDG, RX, RY, RZ, P, R, U,
    CX = 20, CY, CZ, CH, CSX, SWAP, ISWAP, ECR, CRX, CRY, CRZ, CP, CU, RXX, RYY, RZZ, RZX,
    CCX = 50, CCZ, CSWAP,
    UNITARY = 60, KRAUS, MEASURE, RESET, BARRIER,
    DEPOLARIZING = 80, DEPOLARIZING2, BIT_FLIP, PHASE_FLIP, BIT_PHASE_FLIP, PAULI_CHANNEL, AMPLITUDE_DAMPING,
    GENERALIZED_AMPLITUDE_DAMPING, PHASE_DAMPING,
};

// How many qubits an operation takes, -1 where it says so itself, and how many parameters; false for an unknown code.
bool shape_of(int op, int& qubits, int& params);

const Matrix& pauli(int index);  // I, X, Y, Z

// The unitary of a gate; an empty matrix for what is not a gate with a fixed definition.
Matrix unitary_of(int op, const double* params);

// The Kraus operators of a channel or of reset; empty for what is neither.
std::vector<Matrix> kraus_of(int op, const double* params);

}  // namespace proxima
