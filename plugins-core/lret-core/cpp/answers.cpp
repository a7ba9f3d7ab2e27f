// What is read from L, without forming rho. Kept noise (Plan::tails) is the caller's to apply.
#include <algorithm>
#include <numeric>

#include "factor.h"

namespace proxima {

template <typename T>
double Factor<T>::trace() const {
    Poll quiet([] { return true; });
    const std::vector<double> norms = stored_norms(quiet);
    return scale_ * scale_ * std::accumulate(norms.begin(), norms.end(), 0.0);
}

template <typename T>
void Factor<T>::probabilities(double* out, Poll& poll) const {
    constexpr size_t BLOCK = 4096;
    std::fill(out, out + rows_, 0.0);
    parallel_for(threads_, (rows_ + BLOCK - 1) / BLOCK, poll, [&](size_t block) {
        const size_t begin = block * BLOCK, end = std::min(rows_, begin + BLOCK);
        for (const Tile& tile : tiles_) kernels_.probabilities(tile.get(), begin, end, out);
        for (size_t row = begin; row < end; ++row) out[row] *= scale_ * scale_;
    });
}

template <typename T>
Complex Factor<T>::pauli(uint64_t x, uint64_t z, Poll& poll) const {
    std::vector<Complex> parts(tiles_.size());
    parallel_for(threads_, tiles_.size(), poll, [&](size_t t) {
        double re, im;
        kernels_.pauli(tiles_[t].get(), rows_, x, z, &re, &im);
        parts[t] = {re, im};
    });
    return scale_ * scale_ * std::accumulate(parts.begin(), parts.end(), Complex());
}

template <typename T>
void Factor<T>::reduced(const std::vector<int>& qubits, double* out, Poll& poll) const {
    const size_t numbers = size_t(2) << (2 * qubits.size());
    std::fill(out, out + numbers, 0.0);
    for (const Tile& tile : tiles_) {
        kernels_.reduced(tile.get(), rows_, int(qubits.size()), qubits.data(), out);
        poll();
    }
    for (size_t i = 0; i < numbers; ++i) out[i] *= scale_ * scale_;
}

#define INSTANTIATE(T)                                                        \
    template double Factor<T>::trace() const;                                \
    template void Factor<T>::probabilities(double*, Poll&) const;            \
    template Complex Factor<T>::pauli(uint64_t, uint64_t, Poll&) const;      \
    template void Factor<T>::reduced(const std::vector<int>&, double*, Poll&) const;
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace proxima
