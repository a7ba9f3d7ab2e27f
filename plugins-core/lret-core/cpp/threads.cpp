#include "threads.h"

#include <algorithm>
#include <chrono>
#include <exception>

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#endif

namespace proxima {
namespace {

std::atomic<bool> forked{false};

#ifdef _OPENMP
const int watched = pthread_atfork(nullptr, nullptr, [] { forked = true; });
#endif

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int usable_threads(int wanted) {
#ifdef _OPENMP
    return watched == 0 && !forked ? std::clamp(wanted, 1, omp_get_num_procs()) : 1;
#else
    (void)wanted;
    return 1;
#endif
}

void Poll::operator()() {
    if (std::this_thread::get_id() == owner_ && !stopped_) {
        const double time = now();
        if (time < next_) return;
        next_ = time + 0.02;
        stopped_ = !go_on_();
    }
    if (stopped_) throw Cancelled("cancelled");
}

void parallel_for(int threads, size_t count, Poll& poll, const std::function<void(size_t)>& body) {
    if (threads <= 1 || count <= 1) {
        for (size_t i = 0; i < count; ++i) {
            poll();
            body(i);
        }
        return;
    }
#ifdef _OPENMP
    std::atomic<bool> stop{false};
    std::exception_ptr error;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t i = 0; i < count; ++i) {
        if (stop) continue;
        try {
            poll();
            body(i);
        } catch (...) {
#pragma omp critical
            error = std::current_exception();
            stop = true;
        }
    }
    if (error) std::rethrow_exception(error);
#endif
}

}  // namespace proxima
