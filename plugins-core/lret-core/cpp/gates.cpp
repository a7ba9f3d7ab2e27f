#include "gates.h"

#include <algorithm>
#include <cmath>

namespace proxima {
namespace {

const Complex i(0, 1);
const double HALF = std::sqrt(0.5);

Matrix two(Complex a, Complex b, Complex c, Complex d) { return {2, {a, b, c, d}}; }

Matrix plus(Matrix a, const Matrix& b) {
    for (size_t k = 0; k < a.at.size(); ++k) a.at[k] += b.at[k];
    return a;
}

// exp(-i theta G / 2) where G^2 = 1.
Matrix rotation(const Matrix& generator, double theta) {
    return plus(std::cos(theta / 2) * Matrix::identity(generator.size), -i * std::sin(theta / 2) * generator);
}

Matrix phase(double lambda) { return two(1, 0, 0, std::exp(i * lambda)); }

Matrix general(double theta, double phi, double lambda) {
    const double c = std::cos(theta / 2), s = std::sin(theta / 2);
    return two(c, -std::exp(i * lambda) * s, std::exp(i * phi) * s, std::exp(i * (phi + lambda)) * c);
}

// On the later qubits where the first is 1.
Matrix controlled(const Matrix& matrix) {
    Matrix out = Matrix::identity(2 * matrix.size);
    for (int row = 0; row < matrix.size; ++row)
        for (int column = 0; column < matrix.size; ++column) out(2 * row + 1, 2 * column + 1) = matrix(row, column);
    return out;
}

// `first` on the first listed qubit.
Matrix pair(int second, int first) { return kron(pauli(second), pauli(first)); }

Matrix exchange(Complex factor) {
    return {4, {1, 0, 0, 0, 0, 0, factor, 0, 0, factor, 0, 0, 0, 0, 0, 1}};
}

std::vector<Matrix> mixture(std::vector<double> weights) {
    std::vector<Matrix> out;
    for (int k = 0; k < 4; ++k) out.push_back(std::sqrt(std::max(weights[k], 0.0)) * pauli(k));
    return out;
}

std::vector<Matrix> damping(double weight, double gamma) {
    return {std::sqrt(weight) * two(1, 0, 0, std::sqrt(1 - gamma)), std::sqrt(weight) * two(0, std::sqrt(gamma), 0, 0)};
}

}  // namespace

const Matrix& pauli(int index) {
    static const Matrix table[4] = {two(1, 0, 0, 1), two(0, 1, 1, 0), two(0, -i, i, 0), two(1, 0, 0, -1)};
    return table[index];
}

bool shape_of(int op, int& qubits, int& params) {
    static const int one[17] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 3};
    static const int two[17] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 4, 1, 1, 1, 1};
    params = 0;
    qubits = -1;
    if (op >= ID && op <= U) {
        qubits = 1, params = one[op];
    } else if (op >= CX && op <= RZX) {
        qubits = 2, params = two[op - CX];
    } else if (op >= CCX && op <= CSWAP) {
        qubits = 3;
    } else if (op == MEASURE || op == RESET) {
        qubits = 1;
    } else if (op >= DEPOLARIZING && op <= PHASE_DAMPING) {
        qubits = op == DEPOLARIZING2 ? 2 : 1;
        params = op == PAULI_CHANNEL ? 3 : op == GENERALIZED_AMPLITUDE_DAMPING ? 2 : 1;
    } else {
        return op == UNITARY || op == KRAUS || op == BARRIER;
    }
    return true;
}

Matrix unitary_of(int op, const double* p) {
    const Matrix &PX = pauli(1), &PY = pauli(2), &PZ = pauli(3);
    static const Matrix hadamard = two(HALF, HALF, HALF, -HALF);
    static const Matrix sx = two({0.5, 0.5}, {0.5, -0.5}, {0.5, -0.5}, {0.5, 0.5});
    switch (op) {
        case ID: return pauli(0);
        case X: return PX;
        case Y: return PY;
        case Z: return PZ;
        case H: return hadamard;
        case S: return two(1, 0, 0, i);
        case SDG: return two(1, 0, 0, -i);
        case T: return two(1, 0, 0, {HALF, HALF});
        case TDG: return two(1, 0, 0, {HALF, -HALF});
        case SX: return sx;
        case SXDG: return adjoint(sx);
        case RX: return rotation(PX, p[0]);
        case RY: return rotation(PY, p[0]);
        case RZ: return rotation(PZ, p[0]);
        case P: return phase(p[0]);
        case R: return rotation(plus(std::cos(p[1]) * PX, std::sin(p[1]) * PY), p[0]);
        case U: return general(p[0], p[1], p[2]);
        case CX: return controlled(PX);
        case CY: return controlled(PY);
        case CZ: return controlled(PZ);
        case CH: return controlled(hadamard);
        case CSX: return controlled(sx);
        case SWAP: return exchange(1);
        case ISWAP: return exchange(i);
        case ECR: return HALF * plus(pair(0, 1), -1.0 * pair(1, 2));
        case CRX: return controlled(rotation(PX, p[0]));
        case CRY: return controlled(rotation(PY, p[0]));
        case CRZ: return controlled(rotation(PZ, p[0]));
        case CP: return controlled(phase(p[0]));
        case CU: return controlled(std::exp(i * p[3]) * general(p[0], p[1], p[2]));
        case RXX: return rotation(pair(1, 1), p[0]);
        case RYY: return rotation(pair(2, 2), p[0]);
        case RZZ: return rotation(pair(3, 3), p[0]);
        case RZX: return rotation(pair(1, 3), p[0]);
        case CCX: return controlled(controlled(PX));
        case CCZ: return controlled(controlled(PZ));
        case CSWAP: return controlled(exchange(1));
        default: return {};
    }
}

std::vector<Matrix> kraus_of(int op, const double* p) {
    switch (op) {
        case RESET: return {two(1, 0, 0, 0), two(0, 1, 0, 0)};
        case DEPOLARIZING: return mixture({1 - p[0], p[0] / 3, p[0] / 3, p[0] / 3});
        case BIT_FLIP: return mixture({1 - p[0], p[0], 0, 0});
        case BIT_PHASE_FLIP: return mixture({1 - p[0], 0, p[0], 0});
        case PHASE_FLIP: return mixture({1 - p[0], 0, 0, p[0]});
        case PAULI_CHANNEL: return mixture({1 - p[0] - p[1] - p[2], p[0], p[1], p[2]});
        case AMPLITUDE_DAMPING: return damping(1, p[0]);
        case PHASE_DAMPING: return {two(1, 0, 0, std::sqrt(1 - p[0])), two(0, 0, 0, std::sqrt(p[0]))};
        case GENERALIZED_AMPLITUDE_DAMPING: {
            std::vector<Matrix> out = damping(p[0], p[1]);
            for (const Matrix& k : damping(1 - p[0], p[1])) out.push_back(pauli(1) * k * pauli(1));
            return out;
        }
        case DEPOLARIZING2: {
            std::vector<Matrix> out;
            for (int k = 0; k < 16; ++k)
                out.push_back(std::sqrt(k ? p[0] / 15 : 1 - p[0]) * kron(pauli(k / 4), pauli(k % 4)));
            return out;
        }
        default: return {};
    }
}

}  // namespace proxima
