// Memory for amplitudes.
#pragma once

#include <cstddef>

namespace proxima {

constexpr size_t HUGE_PAGE = size_t(1) << 21;  // bytes

// Bytes that are not set, aligned to a cache line, for std::free. What fills huge pages asks the system for them: faults
// on pages of 4 KiB would take up to a quarter of a run. Raises std::bad_alloc.
void* allocate(size_t bytes);

}  // namespace proxima
