#include "threads.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>

namespace proxima {
namespace {

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// One loop: whoever works on it takes the next index until there is none.
struct Loop {
    size_t count;
    Poll& poll;
    const std::function<void(size_t)>& body;
    int wanted;                  // threads that may still join
    std::atomic<int> joined{0};  // threads that have and are not done
    std::atomic<size_t> next{0};
    std::atomic<bool> stop{false};
    std::mutex guard{};
    std::exception_ptr error{};

    void work() {
        for (size_t i = next++; i < count && !stop; i = next++) {
            try {
                poll();
                body(i);
            } catch (...) {
                const std::lock_guard<std::mutex> held(guard);
                if (!error) error = std::current_exception();
                stop = true;
            }
        }
    }
};

constexpr double MOMENT = 50e-6;  // seconds; to wake a thread that sleeps takes about as long

// Whether `ready` comes true within a moment. The processor is given to whoever else wants it.
template <typename Ready>
bool soon(const Ready& ready) {
    for (const double end = now() + MOMENT; !ready(); std::this_thread::yield())
        if (now() > end) return false;
    return true;
}

// Threads that wait for a loop to join, for a moment awake, since a run has one loop after another, and then asleep. They
// live as long as the process: two runs at once share them.
class Pool {
public:
    void run(Loop& loop) {
        int wake;
        {
            const std::lock_guard<std::mutex> held(guard_);
            while (workers_ < loop.wanted && hire()) {
            }
            loops_.push_back(&loop);
            open_ = int(loops_.size());
            wake = std::min(loop.wanted, asleep_);
        }
        for (int i = 0; i < wake; ++i) work_.notify_one();
        loop.work();
        std::unique_lock<std::mutex> held(guard_);
        close(loop);
        if (loop.joined > 0) {
            held.unlock();
            soon([&] { return loop.joined == 0; });
            held.lock();
        }
        done_.wait(held, [&] { return loop.joined == 0; });
    }

private:
    void close(const Loop& loop) {
        loops_.erase(std::remove(loops_.begin(), loops_.end(), &loop), loops_.end());
        open_ = int(loops_.size());
    }

    bool hire() {
        try {
            std::thread([this] { serve(); }).detach();
        } catch (const std::system_error&) {
            return false;  // no thread is to be had: those that are there do it
        }
        ++workers_;
        return true;
    }

    [[noreturn]] void serve() {
        std::unique_lock<std::mutex> held(guard_);
        for (;;) {
            if (loops_.empty()) {
                held.unlock();
                soon([&] { return open_ > 0; });
                held.lock();
                ++asleep_;
                work_.wait(held, [&] { return !loops_.empty(); });
                --asleep_;
            }
            Loop& loop = *loops_.front();
            ++loop.joined;
            if (--loop.wanted == 0) close(loop);
            held.unlock();
            loop.work();
            held.lock();
            if (--loop.joined == 0) done_.notify_all();
        }
    }

    std::mutex guard_;
    std::condition_variable work_, done_;
    std::deque<Loop*> loops_;
    std::atomic<int> open_{0};  // how many loops there are to join
    int workers_ = 0, asleep_ = 0;
};

Pool* pool = new Pool;
// A fork copies no threads: the child has a pool of its own.
const int watched = pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });

}  // namespace

int usable_threads(int wanted) {
    return watched == 0 ? std::clamp(wanted, 1, std::max(1, int(std::thread::hardware_concurrency()))) : 1;
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
    Loop loop{count, poll, body, int(std::min(size_t(threads), count)) - 1};
    pool->run(loop);
    if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace proxima
