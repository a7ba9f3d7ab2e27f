// Which of the compiled kernels this processor runs.
#include "kernels.h"
#include "pauli_kernels.h"

namespace proxima {

#define DECLARE(isa)                        \
    extern const Kernels<float> single_##isa; \
    extern const Kernels<double> double_##isa; \
    extern const PauliKernels<float> pauli_single_##isa; \
    extern const PauliKernels<double> pauli_double_##isa;

DECLARE(baseline)
#ifdef PROXIMA_X86
DECLARE(avx2)
DECLARE(avx512)
#define CHOOSE(precision)                                                                                       \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") \
         ? precision##_avx512                                                                                   \
     : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? precision##_avx2                       \
                                                                       : precision##_baseline)
#else
#define CHOOSE(precision) precision##_baseline
#endif

template <>
const Kernels<float>& kernels<float>() {
    static const Kernels<float>& chosen = CHOOSE(single);
    return chosen;
}

template <>
const PauliKernels<float>& pauli_kernels<float>() {
    static const PauliKernels<float>& chosen = CHOOSE(pauli_single);
    return chosen;
}

template <>
const PauliKernels<double>& pauli_kernels<double>() {
    static const PauliKernels<double>& chosen = CHOOSE(pauli_double);
    return chosen;
}

template <>
const Kernels<double>& kernels<double>() {
    static const Kernels<double>& chosen = CHOOSE(double);
    return chosen;
}

}  // namespace proxima
