// The inner loops over Pauli coefficients (superops.h), compiled once for each instruction set.
#pragma once

#include <cstddef>

namespace proxima {

template <typename T>
struct PauliKernels {
    // values <- (matrix on the digits, ascending) values, of which there are `size`, a power of four. `scratch` holds
    // 2 * 4^k vectors of 64 bytes.
    void (*apply)(T* values, size_t size, int k, const int* digits, const T* matrix, T* scratch);
};

// The best the processor can do.
template <typename T>
const PauliKernels<T>& pauli_kernels();

}  // namespace proxima
