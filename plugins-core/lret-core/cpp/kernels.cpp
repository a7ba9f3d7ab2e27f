// See kernels.h. No standard template is instantiated here: the linker could take its copy for another processor.
#include "kernels.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

namespace proxima {
namespace {

template <typename T>
struct Vector {
    typedef T type __attribute__((vector_size(64)));
};
template <typename T>
using V = typename Vector<T>::type;
typedef double D8 __attribute__((vector_size(64)));

template <typename T>
inline V<T>* re(T* tile, size_t row) {
    return reinterpret_cast<V<T>*>(tile + row * 2 * LANES<T>);
}
template <typename T>
inline const V<T>* re(const T* tile, size_t row) {
    return reinterpret_cast<const V<T>*>(tile + row * 2 * LANES<T>);
}
// The imaginary parts are the vector after the real parts: re(...)[1].

inline size_t insert_zero(size_t index, int bit) {
    size_t low = index & ((size_t(1) << bit) - 1);
    return ((index ^ low) << 1) | low;
}

// Where the local basis states of k qubits lie, from the row where all of them are 0.
inline size_t spread(size_t local, int k, const int* qubits) {
    size_t row = 0;
    for (int j = 0; j < k; ++j) row |= ((local >> j) & 1) << qubits[j];
    return row;
}

// The i-th row where all of `qubits` are 0; `sorted` are those qubits in ascending order.
inline size_t base_row(size_t i, int k, const int* sorted) {
    for (int j = 0; j < k; ++j) i = insert_zero(i, sorted[j]);
    return i;
}

inline void sort(int k, const int* qubits, int* sorted) {
    for (int j = 0; j < k; ++j) {
        int at = j;
        for (; at > 0 && sorted[at - 1] > qubits[j]; --at) sorted[at] = sorted[at - 1];
        sorted[at] = qubits[j];
    }
}

constexpr int MAX_QUBITS = 64;

template <typename T>
void gate1(T* tile, size_t rows, int qubit, const T* m) {
    const size_t step = size_t(1) << qubit;
    for (size_t i = 0; i < rows / 2; ++i) {
        const size_t row = insert_zero(i, qubit);
        V<T>*a = re(tile, row), *b = re(tile, row + step);
        const V<T> ar = a[0], ai = a[1], br = b[0], bi = b[1];
        a[0] = m[0] * ar - m[1] * ai + m[2] * br - m[3] * bi;
        a[1] = m[0] * ai + m[1] * ar + m[2] * bi + m[3] * br;
        b[0] = m[4] * ar - m[5] * ai + m[6] * br - m[7] * bi;
        b[1] = m[4] * ai + m[5] * ar + m[6] * bi + m[7] * br;
    }
}

template <typename T>
void gate2(T* tile, size_t rows, int first, int second, const T* m) {
    const int low = first < second ? first : second, high = first < second ? second : first;
    const size_t f = size_t(1) << first, s = size_t(1) << second;
    for (size_t i = 0; i < rows / 4; ++i) {
        const size_t row = insert_zero(insert_zero(i, low), high);
        V<T>* at[4] = {re(tile, row), re(tile, row + f), re(tile, row + s), re(tile, row + f + s)};
        const V<T> r0 = at[0][0], r1 = at[1][0], r2 = at[2][0], r3 = at[3][0];
        const V<T> i0 = at[0][1], i1 = at[1][1], i2 = at[2][1], i3 = at[3][1];
        for (int k = 0; k < 4; ++k) {
            const T* w = m + 8 * k;
            at[k][0] = w[0] * r0 - w[1] * i0 + w[2] * r1 - w[3] * i1 + w[4] * r2 - w[5] * i2 + w[6] * r3 - w[7] * i3;
            at[k][1] = w[0] * i0 + w[1] * r0 + w[2] * i1 + w[3] * r1 + w[4] * i2 + w[5] * r2 + w[6] * i3 + w[7] * r3;
        }
    }
}

template <typename T>
void gatek(T* tile, size_t rows, int k, const int* qubits, const T* m, T* scratch) {
    int sorted[MAX_QUBITS];
    sort(k, qubits, sorted);
    const size_t size = size_t(1) << k;
    for (size_t i = 0; i < rows >> k; ++i) {
        const size_t row = base_row(i, k, sorted);
        for (size_t a = 0; a < size; ++a) {
            const V<T>* from = re(tile, row + spread(a, k, qubits));
            re(scratch, a)[0] = from[0];
            re(scratch, a)[1] = from[1];
        }
        for (size_t a = 0; a < size; ++a) {
            V<T> sr = {}, si = {};
            const T* w = m + 2 * size * a;
            for (size_t b = 0; b < size; ++b) {
                const V<T>* x = re(scratch, b);
                sr += w[2 * b] * x[0] - w[2 * b + 1] * x[1];
                si += w[2 * b] * x[1] + w[2 * b + 1] * x[0];
            }
            V<T>* to = re(tile, row + spread(a, k, qubits));
            to[0] = sr;
            to[1] = si;
        }
    }
}

// to <- value, or to <- to + value.
template <bool ADD, typename T>
inline void put(T& to, T value) {
    to = ADD ? to + value : value;
}

template <typename T, bool ADD>
void spawn1(T* to, const T* from, size_t begin, size_t end, int qubit, const T* m) {
    const size_t step = size_t(1) << qubit;
    for (size_t i = begin; i < end; ++i) {
        const size_t a = insert_zero(i, qubit) * 2 * LANES<T>, b = a + step * 2 * LANES<T>;
        const T ar = from[a], ai = from[a + LANES<T>], br = from[b], bi = from[b + LANES<T>];
        put<ADD>(to[a], m[0] * ar - m[1] * ai + m[2] * br - m[3] * bi);
        put<ADD>(to[a + LANES<T>], m[0] * ai + m[1] * ar + m[2] * bi + m[3] * br);
        put<ADD>(to[b], m[4] * ar - m[5] * ai + m[6] * br - m[7] * bi);
        put<ADD>(to[b + LANES<T>], m[4] * ai + m[5] * ar + m[6] * bi + m[7] * br);
    }
}

template <typename T, bool ADD>
void spawn(T* to, int to_lane, const T* from, int from_lane, size_t begin, size_t end, int k, const int* qubits,
           const T* m, T* scratch) {
    to += to_lane;
    from += from_lane;
    if (k == 1) {
        spawn1<T, ADD>(to, from, begin, end, qubits[0], m);
        return;
    }
    int sorted[MAX_QUBITS];
    sort(k, qubits, sorted);
    const size_t size = size_t(1) << k;
    for (size_t i = begin; i < end; ++i) {
        const size_t row = base_row(i, k, sorted);
        for (size_t a = 0; a < size; ++a) {
            const T* x = from + (row + spread(a, k, qubits)) * 2 * LANES<T>;
            scratch[2 * a] = x[0];
            scratch[2 * a + 1] = x[LANES<T>];
        }
        for (size_t a = 0; a < size; ++a) {
            T sr = 0, si = 0;
            const T* w = m + 2 * size * a;
            for (size_t b = 0; b < size; ++b) {
                sr += w[2 * b] * scratch[2 * b] - w[2 * b + 1] * scratch[2 * b + 1];
                si += w[2 * b] * scratch[2 * b + 1] + w[2 * b + 1] * scratch[2 * b];
            }
            T* y = to + (row + spread(a, k, qubits)) * 2 * LANES<T>;
            put<ADD>(y[0], sr);
            put<ADD>(y[LANES<T>], si);
        }
    }
}

template <typename T>
void norms(const T* tile, size_t rows, double* out) {
    for (int lane = 0; lane < LANES<T>; ++lane) out[lane] = 0;
    for (size_t row = 0; row < rows; ++row) {
        const T* x = tile + row * 2 * LANES<T>;
        for (int lane = 0; lane < LANES<T>; ++lane) {
            const double xr = x[lane], xi = x[lane + LANES<T>];
            out[lane] += xr * xr + xi * xi;
        }
    }
}

template <typename T>
void moments(const T* tile, size_t rows, int k, const int* qubits, double* out) {
    int sorted[MAX_QUBITS];
    sort(k, qubits, sorted);
    const size_t size = size_t(1) << k, plane = size * size * LANES<T>;
    for (size_t i = 0; i < 2 * plane; ++i) out[i] = 0;
    for (size_t i = 0; i < rows >> k; ++i) {
        const size_t row = base_row(i, k, sorted);
        for (size_t a = 0; a < size; ++a) {
            const T* x = tile + (row + spread(a, k, qubits)) * 2 * LANES<T>;
            for (size_t b = 0; b < size; ++b) {
                const T* y = tile + (row + spread(b, k, qubits)) * 2 * LANES<T>;
                double* to = out + (a * size + b) * LANES<T>;
                for (int lane = 0; lane < LANES<T>; ++lane) {
                    const double xr = x[lane], xi = x[lane + LANES<T>], yr = y[lane], yi = y[lane + LANES<T>];
                    to[lane] += xr * yr + xi * yi;
                    to[plane + lane] += xr * yi - xi * yr;
                }
            }
        }
    }
}

template <typename T>
void reduced(const T* tile, size_t rows, int k, const int* qubits, double* out) {
    int sorted[MAX_QUBITS];
    sort(k, qubits, sorted);
    const size_t size = size_t(1) << k;
    for (size_t i = 0; i < rows >> k; ++i) {
        const size_t row = base_row(i, k, sorted);
        for (size_t a = 0; a < size; ++a) {
            const T* x = tile + (row + spread(a, k, qubits)) * 2 * LANES<T>;
            for (size_t b = 0; b < size; ++b) {
                const T* y = tile + (row + spread(b, k, qubits)) * 2 * LANES<T>;
                double sr = 0, si = 0;
                for (int lane = 0; lane < LANES<T>; ++lane) {
                    const double xr = x[lane], xi = x[lane + LANES<T>], yr = y[lane], yi = y[lane + LANES<T>];
                    sr += xr * yr + xi * yi;
                    si += xi * yr - xr * yi;
                }
                out[2 * (a * size + b)] += sr;
                out[2 * (a * size + b) + 1] += si;
            }
        }
    }
}

constexpr size_t BLOCK = 256;  // rows summed in T before they are added up in double
// Columns of the left tile, or rows, whose sums are held in registers.
#ifdef __AVX512F__
constexpr int AT_ONCE = 8;
#else
constexpr int AT_ONCE = 2;
#endif

template <typename T>
void gram(const T* left, const T* right, size_t rows, double* out_re, double* out_im) {
    for (int i = 0; i < LANES<T> * LANES<T>; ++i) out_re[i] = out_im[i] = 0;
    for (size_t begin = 0; begin < rows; begin += BLOCK) {
        const size_t end = begin + BLOCK < rows ? begin + BLOCK : rows;
        for (int first = 0; first < LANES<T>; first += AT_ONCE) {
            V<T> sr[AT_ONCE] = {}, si[AT_ONCE] = {};
            for (size_t row = begin; row < end; ++row) {
                const T* a = left + row * 2 * LANES<T> + first;
                const V<T> br = re(right, row)[0], bi = re(right, row)[1];
                for (int t = 0; t < AT_ONCE; ++t) {
                    const T ar = a[t], ai = a[t + LANES<T>];
                    sr[t] += ar * br + ai * bi;
                    si[t] += ar * bi - ai * br;
                }
            }
            for (int t = 0; t < AT_ONCE; ++t)
                for (int lane = 0; lane < LANES<T>; ++lane) {
                    out_re[(first + t) * LANES<T> + lane] += double(sr[t][lane]);
                    out_im[(first + t) * LANES<T> + lane] += double(si[t][lane]);
                }
        }
    }
}

template <typename T, int ROWS>
inline void multiply_rows(T* to, const T* const* from, int count, size_t row, const T* weights) {
    V<T> sr[ROWS] = {}, si[ROWS] = {};
    for (int tile = 0; tile < count; ++tile) {
        const T* x = from[tile] + row * 2 * LANES<T>;
        V<T> pr[ROWS] = {}, pi[ROWS] = {};  // tile by tile, so that rounding grows with the tiles and not the columns
        for (int lane = 0; lane < LANES<T>; ++lane, weights += 2 * LANES<T>) {
            const V<T> wr = re(weights, 0)[0], wi = re(weights, 0)[1];
            for (int t = 0; t < ROWS; ++t) {
                const T xr = x[t * 2 * LANES<T> + lane], xi = x[t * 2 * LANES<T> + LANES<T> + lane];
                pr[t] += xr * wr - xi * wi;
                pi[t] += xr * wi + xi * wr;
            }
        }
        for (int t = 0; t < ROWS; ++t) {
            sr[t] += pr[t];
            si[t] += pi[t];
        }
    }
    for (int t = 0; t < ROWS; ++t) {
        re(to, row + t)[0] = sr[t];
        re(to, row + t)[1] = si[t];
    }
}

template <typename T>
void multiply(T* to, const T* const* from, int count, size_t rows, const T* weights) {
    size_t row = 0;
    for (; row + AT_ONCE <= rows; row += AT_ONCE) multiply_rows<T, AT_ONCE>(to, from, count, row, weights);
    for (; row < rows; ++row) multiply_rows<T, 1>(to, from, count, row, weights);
}

template <typename T>
void probabilities(const T* tile, size_t begin, size_t end, double* out) {
    for (size_t row = begin; row < end; ++row) {
        const T* x = tile + row * 2 * LANES<T>;
        double sum = 0;
        for (int i = 0; i < 2 * LANES<T>; ++i) sum += double(x[i]) * double(x[i]);
        out[row] += sum;
    }
}

template <typename T>
void pauli(const T* tile, size_t rows, uint64_t x, uint64_t z, double* out_re, double* out_im) {
    double sum_re = 0, sum_im = 0;
    for (size_t row = 0; row < rows; ++row) {
        const T *a = tile + row * 2 * LANES<T>, *b = tile + (row ^ x) * 2 * LANES<T>;
        double sr = 0, si = 0;
        for (int lane = 0; lane < LANES<T>; ++lane) {
            const double ar = a[lane], ai = a[lane + LANES<T>], br = b[lane], bi = b[lane + LANES<T>];
            sr += ar * br + ai * bi;
            si += ar * bi - ai * br;
        }
        const bool negative = __builtin_popcountll(row & z) & 1;
        sum_re += negative ? -sr : sr;
        sum_im += negative ? -si : si;
    }
    *out_re = sum_re;
    *out_im = sum_im;
}

template <typename T>
void add_pauli(T* to, const T* from, size_t rows, uint64_t x, uint64_t z, double real, double imaginary) {
    for (size_t row = 0; row < rows; ++row) {
        const T sign = __builtin_popcountll(row & z) & 1 ? -1 : 1, c = T(real) * sign, s = T(imaginary) * sign;
        const V<T>* a = re(from, row ^ x);
        V<T>* b = re(to, row);
        b[0] += c * a[0] - s * a[1];
        b[1] += c * a[1] + s * a[0];
    }
}

template <typename T>
void cross(const T* left, const T* right, size_t rows, int k, const int* qubits, double* out) {
    constexpr size_t AT_A_TIME = 64;  // groups of rows summed in T before they are added up in double
    int sorted[MAX_QUBITS];
    sort(k, qubits, sorted);
    const size_t size = size_t(1) << k, groups = rows >> k;
    size_t bases[AT_A_TIME];
    for (size_t begin = 0; begin < groups; begin += AT_A_TIME) {
        const size_t count = groups - begin < AT_A_TIME ? groups - begin : AT_A_TIME;
        for (size_t i = 0; i < count; ++i) bases[i] = base_row(begin + i, k, sorted);
        for (size_t a = 0; a < size; ++a) {
            const size_t to_a = spread(a, k, qubits);
            for (size_t b = 0; b < size; ++b) {
                const size_t to_b = spread(b, k, qubits);
                V<T> sr = {}, si = {};
                for (size_t i = 0; i < count; ++i) {
                    const V<T>*x = re(left, bases[i] + to_a), *y = re(right, bases[i] + to_b);
                    sr += x[0] * y[0] + x[1] * y[1];
                    si += x[0] * y[1] - x[1] * y[0];
                }
                double sum_re = 0, sum_im = 0;
                for (int lane = 0; lane < LANES<T>; ++lane) sum_re += double(sr[lane]), sum_im += double(si[lane]);
                out[2 * (a * size + b)] += sum_re;
                out[2 * (a * size + b) + 1] += sum_im;
            }
        }
    }
}

template <typename T>
void products(const T* const* tiles, int count, size_t row, size_t other, T* out) {
    V<T> sr[4] = {}, si[4] = {};
    for (int tile = 0; tile < count; ++tile) {
        const V<T>*x = re(tiles[tile], row), *y = re(tiles[tile], other);
        for (int a = 0; a < 2; ++a)
            for (int b = 0; b < 2; ++b) {
                sr[2 * a + b] += x[2 * a] * y[2 * b] + x[2 * a + 1] * y[2 * b + 1];
                si[2 * a + b] += x[2 * a + 1] * y[2 * b] - x[2 * a] * y[2 * b + 1];
            }
    }
    for (int e = 0; e < 4; ++e) {
        out[e] = out[4 + e] = 0;
        for (int lane = 0; lane < LANES<T>; ++lane) {
            out[e] += sr[e][lane];
            out[4 + e] += si[e][lane];
        }
    }
}

void subtract(double* yr, double* yi, double ar, double ai, const double* xr, const double* xi, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        const double r = xr[i], s = xi[i];
        yr[i] -= ar * r - ai * s;
        yi[i] -= ar * s + ai * r;
    }
}

void dot(const double* xr, const double* xi, const double* yr, const double* yi, size_t n, double* out) {
    D8 re = {}, im = {};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        D8 a, b, c, d;
        __builtin_memcpy(&a, xr + i, 64), __builtin_memcpy(&b, xi + i, 64);
        __builtin_memcpy(&c, yr + i, 64), __builtin_memcpy(&d, yi + i, 64);
        re += a * c + b * d;
        im += a * d - b * c;
    }
    out[0] = out[1] = 0;
    for (int k = 0; k < 8; ++k) out[0] += re[k], out[1] += im[k];
    for (; i < n; ++i) {
        out[0] += xr[i] * yr[i] + xi[i] * yi[i];
        out[1] += xr[i] * yi[i] - xi[i] * yr[i];
    }
}

template <typename T>
constexpr Kernels<T> TABLE = {
    gate1<T>,   gate2<T>, gatek<T>,    spawn<T, false>,  spawn<T, true>, norms<T>,     moments<T>,
    reduced<T>, gram<T>,  multiply<T>, probabilities<T>, pauli<T>,       add_pauli<T>, cross<T>,
    products<T>, subtract, dot, TEXT(PROXIMA_ISA),
};

}  // namespace

extern const Kernels<float> PASTE(single_, PROXIMA_ISA);
extern const Kernels<double> PASTE(double_, PROXIMA_ISA);
const Kernels<float> PASTE(single_, PROXIMA_ISA) = TABLE<float>;
const Kernels<double> PASTE(double_, PROXIMA_ISA) = TABLE<double>;

}  // namespace proxima
