// See pauli_kernels.h. No standard template is instantiated here: the linker could take its copy for another processor.
#include "pauli_kernels.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

namespace proxima {
namespace {

template <typename T>
struct Vector {
    typedef T type __attribute__((vector_size(64)));
};
template <typename T>
using V = typename Vector<T>::type;
template <typename T>
constexpr int WIDTH = 64 / int(sizeof(T));

// Rows whose sums are held in registers.
#ifdef __AVX512F__
constexpr int AT_ONCE = 8;
#else
constexpr int AT_ONCE = 4;
#endif

// to[i * step] = sum over j of matrix[i][j] from[j * step], for vectors of 64 bytes; `to` may not be `from`.
template <typename T, int SIZE>
inline void multiply(V<T>* to, const V<T>* from, size_t step, const T* matrix) {
    constexpr int ROWS = AT_ONCE < SIZE ? AT_ONCE : SIZE;
    for (int row = 0; row < SIZE; row += ROWS) {
        V<T> sum[ROWS] = {};
        for (int column = 0; column < SIZE; ++column) {
            const V<T> x = from[column * step];
            for (int t = 0; t < ROWS; ++t) sum[t] += matrix[(row + t) * SIZE + column] * x;
        }
        for (int t = 0; t < ROWS; ++t) to[(row + t) * step] = sum[t];
    }
}

inline size_t insert_digit(size_t index, int digit) {
    const size_t low = index & ((size_t(1) << 2 * digit) - 1);
    return ((index ^ low) << 2) | low;
}

constexpr int MOST_QUBITS = 4;

// By a copy of as many groups as a vector has lanes, wherever the digits lie.
template <typename T, int K>
void apply_copied(T* values, size_t size, const int* digits, const T* matrix, T* scratch) {
    constexpr int SIZE = 1 << 2 * K, W = WIDTH<T>;
    size_t offsets[SIZE];
    for (int e = 0; e < SIZE; ++e) {
        offsets[e] = 0;
        for (int j = 0; j < K; ++j) offsets[e] |= size_t(e >> 2 * j & 3) << 2 * digits[j];
    }
    T* after = scratch + SIZE * W;
    const size_t groups = size >> 2 * K;
    for (size_t first = 0; first < groups; first += W) {
        const int count = groups - first < size_t(W) ? int(groups - first) : W;
        size_t bases[W];
        for (int lane = 0; lane < count; ++lane) {
            bases[lane] = first + lane;
            for (int j = 0; j < K; ++j) bases[lane] = insert_digit(bases[lane], digits[j]);
        }
        for (int lane = 0; lane < count; ++lane)
            for (int e = 0; e < SIZE; ++e) scratch[e * W + lane] = values[bases[lane] + offsets[e]];
        multiply<T, SIZE>(reinterpret_cast<V<T>*>(after), reinterpret_cast<const V<T>*>(scratch), 1, matrix);
        for (int lane = 0; lane < count; ++lane)
            for (int e = 0; e < SIZE; ++e) values[bases[lane] + offsets[e]] = after[e * W + lane];
    }
}

// In place, where the lowest digit's neighbours lie at least a vector apart.
template <typename T>
void apply1(T* values, size_t size, int digit, const T* m) {
    const size_t step = (size_t(1) << 2 * digit) / WIDTH<T>;
    V<T>* vectors = reinterpret_cast<V<T>*>(values);
    for (size_t high = 0; high < size / WIDTH<T>; high += 4 * step)
        for (size_t at = high; at < high + step; ++at) {
            V<T>* x = vectors + at;
            const V<T> a = x[0], b = x[step], c = x[2 * step], d = x[3 * step];
            for (int row = 0; row < 4; ++row)
                x[row * step] = m[4 * row] * a + m[4 * row + 1] * b + m[4 * row + 2] * c + m[4 * row + 3] * d;
        }
}

template <typename T>
void apply2(T* values, size_t size, int low, int high, const T* m) {
    const size_t s = (size_t(1) << 2 * low) / WIDTH<T>, t = (size_t(1) << 2 * high) / WIDTH<T>;
    V<T>* vectors = reinterpret_cast<V<T>*>(values);
    for (size_t a = 0; a < size / WIDTH<T>; a += 4 * t)
        for (size_t b = a; b < a + t; b += 4 * s)
            for (size_t at = b; at < b + s; ++at) {
                V<T> x[16];
                for (int e = 0; e < 16; ++e) x[e] = vectors[at + (e & 3) * s + (e >> 2) * t];
                for (int row = 0; row < 16; row += AT_ONCE) {
                    V<T> sum[AT_ONCE] = {};
                    for (int column = 0; column < 16; ++column)
                        for (int r = 0; r < AT_ONCE; ++r) sum[r] += m[(row + r) * 16 + column] * x[column];
                    for (int r = 0; r < AT_ONCE; ++r)
                        vectors[at + ((row + r) & 3) * s + ((row + r) >> 2) * t] = sum[r];
                }
            }
}

template <typename T>
void apply(T* values, size_t size, int k, const int* digits, const T* matrix, T* scratch) {
    const bool apart = size_t(1) << 2 * digits[0] >= size_t(WIDTH<T>);
    if (k == 1 && apart) return apply1(values, size, digits[0], matrix);
    if (k == 2 && apart) return apply2(values, size, digits[0], digits[1], matrix);
    if (k == 1) return apply_copied<T, 1>(values, size, digits, matrix, scratch);
    if (k == 2) return apply_copied<T, 2>(values, size, digits, matrix, scratch);
    if (k == 3) return apply_copied<T, 3>(values, size, digits, matrix, scratch);
    apply_copied<T, MOST_QUBITS>(values, size, digits, matrix, scratch);
}

}  // namespace

extern const PauliKernels<float> PASTE(pauli_single_, PROXIMA_ISA);
extern const PauliKernels<double> PASTE(pauli_double_, PROXIMA_ISA);
const PauliKernels<float> PASTE(pauli_single_, PROXIMA_ISA) = {apply<float>};
const PauliKernels<double> PASTE(pauli_double_, PROXIMA_ISA) = {apply<double>};

}  // namespace proxima
