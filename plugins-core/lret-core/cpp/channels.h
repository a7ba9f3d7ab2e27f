// Channels on one or two qubits as Pauli transfer matrices, in which composing is multiplying, and as Kraus operators.
//
// The transfer matrix of a channel E on k qubits is R[a][b] = tr(P_a E(P_b)) / 2^k, real, of size 4^k; Pauli strings are
// numbered in base 4 (I, X, Y, Z), the first qubit the lowest digit.
#pragma once

#include <array>

#include "matrix.h"

namespace proxima {

using Transfer = std::array<double, 16>;  // of one qubit, row-major

extern const Transfer NO_CHANNEL;

Transfer transfer_of(const std::vector<Matrix>& kraus);
Transfer after(const Transfer& second, const Transfer& first);
Transfer transposed(const Transfer& a);  // of a unitary: its inverse
bool is_pauli(const Transfer& a);        // diagonal: a mixture of Pauli operators

// A channel as the engine applies it: rho -> sum_k K_k rho K_k^dagger, the operator of the largest weight first.
struct Channel {
    std::vector<int> qubits;
    std::vector<Matrix> kraus;
    // Where each K_k is a probability's root times a unitary: those probabilities, so that weights need no amplitudes.
    std::vector<double> probabilities;
    bool keeps_first = false;  // K_0 is a multiple of the identity: the columns stay as they are, but for a factor
    double error = 0;          // 1 - |K_0|^2 / 2^k, the weight that leaves the first operator's branch on average
};

// The transfer matrix of a channel on any number of qubits, real, 4^k by 4^k, row-major.
std::vector<double> transfer_matrix(const std::vector<Matrix>& kraus);

// From any Kraus operators; for one and two qubits the fewest there are, from the Choi matrix's eigenvectors.
Channel channel_of(std::vector<int> qubits, std::vector<Matrix> kraus);
Channel channel_of(int qubit, const Transfer& transfer);

// The eigenvalues of a Pauli channel on two qubits (16 of them) that `unitary` carries a Pauli channel on each to:
// U (A x B) U^dagger. False where the result is no Pauli channel.
bool conjugate(const Matrix& unitary, const Transfer& a, const Transfer& b, std::array<double, 16>& eigenvalues);

}  // namespace proxima
