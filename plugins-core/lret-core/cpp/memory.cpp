#include "memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace proxima {

void* allocate(size_t bytes) {
    const size_t alignment = bytes < HUGE_PAGE ? 64 : HUGE_PAGE;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, bytes);
    if (!memory) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (alignment == HUGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE);  // where there are none, small pages do
#endif
    return memory;
}

}  // namespace proxima
