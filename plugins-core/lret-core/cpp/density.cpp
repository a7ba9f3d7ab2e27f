#include "density.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace proxima {
namespace {

// Digits that vary in a pass: so many coefficients stay in the second level of cache.
constexpr int RESIDENT = 8;
// Of these the lowest, so that what is copied at once is a few cache lines.
constexpr int CONTIGUOUS = 2;
constexpr size_t WORTH_TWO_THREADS = size_t(1) << 16;  // coefficients

// The bits of a number, each moved to twice its place.
uint64_t spread(uint64_t bits) {
    uint64_t out = 0;
    for (int q = 0; bits >> q; ++q) out |= (bits >> q & 1) << 2 * q;
    return out;
}

std::vector<uint64_t> spreads(size_t count) {
    std::vector<uint64_t> out(count);
    for (size_t i = 0; i < count; ++i) out[i] = spread(i);
    return out;
}

// The index whose digits at `digits` are those of `local` and which is 0 elsewhere.
size_t placed(size_t local, const std::vector<int>& digits) {
    size_t out = 0;
    for (size_t j = 0; j < digits.size(); ++j) out |= (local >> 2 * j & 3) << 2 * digits[j];
    return out;
}

// Elements 00, 10, 01, 11 of each qubit (digits 0 to 3 of the index) to the coefficients of I, X, Y, Z.
template <typename T>
void to_pauli(std::complex<T>* rho, size_t size, Poll& poll) {
    for (size_t step = 1; step < size; step *= 4)
        for (size_t high = 0; high < size; high += 4 * step) {
            poll();
            for (std::complex<T>* at = rho + high; at < rho + high + step; ++at) {
                const std::complex<T> a = at[0], b = at[step], c = at[2 * step], d = at[3 * step];
                const std::complex<T> y = c - b;
                at[0] = a + d;
                at[step] = b + c;
                at[2 * step] = {-y.imag(), y.real()};
                at[3 * step] = a - d;
            }
        }
}

// Back again, times 2^n.
void from_pauli(Complex* rho, size_t size, Poll& poll) {
    for (size_t step = 1; step < size; step *= 4)
        for (size_t high = 0; high < size; high += 4 * step) {
            poll();
            for (Complex* at = rho + high; at < rho + high + step; ++at) {
                const Complex a = at[0], x = at[step], y(-at[2 * step].imag(), at[2 * step].real()), z = at[3 * step];
                at[0] = a + z;
                at[step] = x + y;
                at[2 * step] = x - y;
                at[3 * step] = a - z;
            }
        }
}

// Coefficients to the elements of a matrix, in rows.
void write_rows(const Complex* rho, size_t rows, double factor, double* out) {
    const std::vector<uint64_t> places = spreads(rows);
    for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < rows; ++j) {
            const Complex& element = rho[places[i] | places[j] << 1];
            out[2 * (i * rows + j)] = factor * element.real();
            out[2 * (i * rows + j) + 1] = factor * element.imag();
        }
}

}  // namespace

void mix(double* out, size_t rows, const std::vector<Tail>& tails, Poll& poll) {
    const std::vector<uint64_t> places = spreads(rows);
    std::vector<Complex> rho(rows * rows);
    for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < rows; ++j)
            rho[places[i] | places[j] << 1] = {out[2 * (i * rows + j)], out[2 * (i * rows + j) + 1]};
    to_pauli(rho.data(), rho.size(), poll);
    for (const Tail& tail : tails)
        for (size_t at = 0; at < rho.size(); ++at) {
            size_t letters = 0;
            for (size_t k = 0; k < tail.qubits.size(); ++k) letters |= (at >> 2 * tail.qubits[k] & 3) << 2 * k;
            rho[at] *= tail.eigenvalues[letters];
        }
    from_pauli(rho.data(), rho.size(), poll);
    write_rows(rho.data(), rows, 1 / double(rows), out);
}

template <typename T>
void Density<T>::Free::operator()(T* memory) const {
    std::free(memory);
}

template <typename T>
typename Density<T>::Values Density<T>::new_values(size_t count) {
    const size_t bytes = std::max(count * sizeof(T), size_t(64));
    Values out(static_cast<T*>(allocate(bytes)));
    std::memset(out.get(), 0, bytes);
    return out;
}

template <typename T>
Density<T>::Density(int num_qubits, int threads, double memory)
    : AnyDensity(num_qubits, threads, memory), size_(size_t(1) << 2 * num_qubits) {
    if (bytes() > memory) throw OutOfMemory(bytes(), 0);
    values_ = new_values(size_);
    for (size_t z = 0; z < rows_; ++z) values_[3 * spread(z)] = 1;
}

template <typename T>
Density<T>::Density(const Factor<T>& factor, int threads, double memory, Poll& poll)
    : AnyDensity(factor.num_qubits(), threads, memory), size_(size_t(1) << 2 * factor.num_qubits()) {
    if (3 * bytes() > memory) throw OutOfMemory(3 * bytes(), 0);
    budget = factor.budget;
    std::vector<std::complex<T>> rho(size_);
    factor.density(rho.data(), poll);
    to_pauli(rho.data(), size_, poll);
    values_ = new_values(size_);
    for (size_t i = 0; i < size_; ++i) values_[i] = rho[i].real();
    budget.rounding += factor.density_rounding() + 2 * num_qubits_ * one_rounding();
}

template <typename T>
double Density<T>::one_rounding() const {
    return 0.5 * std::sqrt(double(rows_)) * double(std::numeric_limits<T>::epsilon()) / 2;
}

template <typename T>
void Density<T>::advance(const Superops& ops, Poll& poll) {
    std::vector<std::vector<T>> matrices;
    for (const Superop& op : ops.list) matrices.emplace_back(op.matrix.begin(), op.matrix.end());
    const std::vector<Pass> passes = passes_of(ops, RESIDENT, num_qubits_ > RESIDENT ? CONTIGUOUS : 0);
    for (size_t at = 0; at < passes.size(); ++at) {
        progress_ = double(at) / double(passes.size());
        apply(ops, passes[at], matrices, poll);
    }
    budget.rounding += norm() * ops.rounding * double(std::numeric_limits<T>::epsilon()) / 2;
}

template <typename T>
void Density<T>::apply(const Superops& ops, const Pass& pass, const std::vector<std::vector<T>>& matrices, Poll& poll) {
    const PauliKernels<T>& kernels = pauli_kernels<T>();
    const int inside = int(pass.resident.size());
    const size_t block = size_t(1) << 2 * inside, blocks = size_ / block;
    std::vector<std::vector<int>> digits;  // of each superop, in the block
    size_t widest = 1;
    for (size_t at : pass.ops) {
        digits.emplace_back();
        for (int q : ops.list[at].qubits)
            digits.back().push_back(
                int(std::lower_bound(pass.resident.begin(), pass.resident.end(), q) - pass.resident.begin()));
        widest = std::max(widest, digits.back().size());
    }
    std::vector<int> fixed;
    for (int q = 0; q < num_qubits_; ++q)
        if (!std::binary_search(pass.resident.begin(), pass.resident.end(), q)) fixed.push_back(q);
    // Runs of neighbours that stay neighbours in the block, and where each begins.
    int low = 0;
    while (low < inside && pass.resident[low] == low) ++low;
    const size_t run = size_t(1) << 2 * low;
    std::vector<size_t> runs(block / run);
    for (size_t r = 0; r < runs.size(); ++r) runs[r] = placed(r * run, pass.resident);

    const bool whole = blocks == 1;
    const size_t parts = size_ < WORTH_TWO_THREADS ? 1 : std::min(blocks, size_t(threads_) * 8);
    parallel_for(parts > 1 ? threads_ : 1, parts, poll, [&](size_t part) {
        const Values copy = whole ? nullptr : new_values(block);
        const Values scratch = new_values((size_t(2) << 2 * widest) * 64 / sizeof(T));
        for (size_t at = blocks * part / parts; at < blocks * (part + 1) / parts; ++at) {
            T* here = values_.get() + placed(at, fixed);
            T* values = whole ? here : copy.get();
            if (!whole)
                for (size_t r = 0; r < runs.size(); ++r) std::memcpy(values + r * run, here + runs[r], run * sizeof(T));
            for (size_t o = 0; o < pass.ops.size(); ++o) {
                kernels.apply(values, block, int(digits[o].size()), digits[o].data(), matrices[pass.ops[o]].data(),
                              scratch.get());
                poll();
            }
            if (!whole)
                for (size_t r = 0; r < runs.size(); ++r) std::memcpy(here + runs[r], values + r * run, run * sizeof(T));
        }
    });
}

template <typename T>
std::unique_ptr<AnyState> Density<T>::project(int qubit, int outcome, double share) const {
    auto out = std::make_unique<Density>(num_qubits_, threads_, memory_);
    out->budget = budget;
    const size_t step = size_t(1) << 2 * qubit;
    const T sign = outcome ? -1 : 1, half = T(share / 2);
    for (size_t high = 0; high < size_; high += 4 * step)
        for (size_t at = high; at < high + step; ++at) {
            const T kept = half * (values_[at] + sign * values_[at + 3 * step]);
            out->values_[at] = kept;
            out->values_[at + step] = out->values_[at + 2 * step] = 0;
            out->values_[at + 3 * step] = sign * kept;
        }
    out->budget.rounding += 3 * norm() * one_rounding();  // of all outcomes together: the caller shares it out
    return out;
}

template <typename T>
void Density<T>::absorb(const AnyState& any) {
    const auto& other = dynamic_cast<const Density&>(any);
    for (size_t i = 0; i < size_; ++i) values_[i] += other.values_[i];
    budget.total += other.budget.total;
    budget.spent += other.budget.spent;
    budget.rounding += other.budget.rounding + norm() * one_rounding();
}

template <typename T>
void Density<T>::probabilities(double* out, Poll& poll) const {
    for (size_t z = 0; z < rows_; ++z) out[z] = double(values_[3 * spread(z)]) / double(rows_);
    for (size_t step = 1; step < rows_; step *= 2) {
        poll();
        for (size_t high = 0; high < rows_; high += 2 * step)
            for (size_t at = high; at < high + step; ++at) {
                const double a = out[at], b = out[at + step];
                out[at] = a + b;
                out[at + step] = a - b;
            }
    }
}

template <typename T>
Complex Density<T>::pauli(uint64_t x, uint64_t z, Poll&) const {
    // X is digit 1, Z is 3, and Y, which is both, is 2.
    const uint64_t letters = spread(x & ~z) | spread(x & z) * 2 | spread(z & ~x) * 3;
    static const Complex POWERS[4] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
    return double(values_[letters]) * POWERS[__builtin_popcountll(x & z) % 4];
}

template <typename T>
void Density<T>::reduced(const std::vector<int>& qubits, double* out, Poll& poll) const {
    const size_t rows = size_t(1) << qubits.size(), size = rows * rows;
    std::vector<Complex> rho(size);
    for (size_t i = 0; i < size; ++i) rho[i] = values_[placed(i, qubits)];
    from_pauli(rho.data(), size, poll);
    write_rows(rho.data(), rows, 1 / double(rows), out);
}

template class Density<float>;
template class Density<double>;

}  // namespace proxima
