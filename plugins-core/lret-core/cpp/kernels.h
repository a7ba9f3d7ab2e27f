// The inner loops over a tile of columns, compiled once for each instruction set.
//
// A tile holds LANES columns of L: row i is LANES real parts followed by LANES imaginary parts, 128 bytes in all, so
// that a vector register holds one part of all columns and no loop has a remainder. Rows are indexed by the basis
// state, qubit 0 least significant. Matrices are row-major, real part before imaginary part; of the qubits of a matrix
// the first is the least significant index bit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace proxima {

constexpr int ROW_BYTES = 128;

template <typename T>
constexpr int LANES = 64 / int(sizeof(T));

template <typename T>
struct Kernels {
    // tile <- (matrix on qubits) tile, for one, two, or k qubits; `scratch` holds 2^k rows.
    void (*gate1)(T* tile, size_t rows, int qubit, const T* matrix);
    void (*gate2)(T* tile, size_t rows, int first, int second, const T* matrix);
    void (*gatek)(T* tile, size_t rows, int k, const int* qubits, const T* matrix, T* scratch);

    // One column of `to` <- (matrix on k qubits) one column of `from`, for the groups of 2^k rows from `begin` to `end`;
    // `scratch` holds 2^(k+1) numbers.
    void (*spawn)(T* to, int to_lane, const T* from, int from_lane, size_t begin, size_t end, int k, const int* qubits,
                  const T* matrix, T* scratch);

    // As spawn, added to the column of `to`.
    void (*fold)(T* to, int to_lane, const T* from, int from_lane, size_t begin, size_t end, int k, const int* qubits,
                 const T* matrix, T* scratch);

    // norms[lane] = the squared norm of each column.
    void (*norms)(const T* tile, size_t rows, double* norms);

    // out[(a * 2^k + b) * LANES + lane] = <column| (|a><b| on the qubits) |column>: real parts, then imaginary parts.
    void (*moments)(const T* tile, size_t rows, int k, const int* qubits, double* out);

    // out += sum over the columns of tr_rest |column><column|: (2^k, 2^k), real part before imaginary part.
    void (*reduced)(const T* tile, size_t rows, int k, const int* qubits, double* out);

    // re, im[a * LANES + b] = <column a of left | column b of right>.
    void (*gram)(const T* left, const T* right, size_t rows, double* re, double* im);

    // to[row] = sum over `count` tiles of from[tile][row] times weights, for `rows` rows. The block of weights of one
    // tile is LANES rows, each LANES real parts followed by LANES imaginary parts.
    void (*multiply)(T* to, const T* const* from, int count, size_t rows, const T* weights);

    // out[row] += the sum over the columns of |amplitude|^2.
    void (*probabilities)(const T* tile, size_t begin, size_t end, double* out);

    // The sum over columns and rows of conj(l[row]) (-1)^popcount(row & z) l[row ^ x].
    void (*pauli)(const T* tile, size_t rows, uint64_t x, uint64_t z, double* re, double* im);

    // to += (re + i im) P from, P the Pauli string with these bits: row by row (-1)^popcount(row & z) from[row ^ x].
    void (*add_pauli)(T* to, const T* from, size_t rows, uint64_t x, uint64_t z, double re, double im);

    // out[a * 2^k + b] += the sum over the columns and the other qubits of conj(left[a]) right[b], real part before
    // imaginary part.
    void (*cross)(const T* left, const T* right, size_t rows, int k, const int* qubits, double* out);

    // out[2 * a + b] = the sum over all columns of l[row + a] conj(l[other + b]), a and b being 0 or 1: real parts before
    // imaginary parts.
    void (*products)(const T* const* tiles, int count, size_t row, size_t other, T* out);

    // (yr + i yi) -= (ar + i ai) (xr + i xi), over n numbers: what the decomposition of a Gram matrix is made of.
    void (*subtract)(double* yr, double* yi, double ar, double ai, const double* xr, const double* xi, size_t n);

    // out = the real and imaginary part of <x|y>, over n numbers.
    void (*dot)(const double* xr, const double* xi, const double* yr, const double* yi, size_t n, double* out);

    const char* name;
};

// The best the processor can do.
template <typename T>
const Kernels<T>& kernels();

}  // namespace proxima
