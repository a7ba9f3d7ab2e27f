// Loops over several threads, and being asked to stop.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <thread>

namespace proxima {

struct Cancelled : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// How many threads a loop may take: no more than there are processors.
int usable_threads(int wanted);

// Asks the caller whether to go on, at most every 20 ms and from the thread it was made in; raises Cancelled where not,
// in every thread that asks.
class Poll {
public:
    explicit Poll(std::function<bool()> go_on) : go_on_(std::move(go_on)), owner_(std::this_thread::get_id()) {}
    void operator()();

private:
    std::function<bool()> go_on_;
    std::thread::id owner_;
    std::atomic<bool> stopped_{false};
    double next_ = 0;
};

// body(i) for i in [0, count), several at once; stops early where one raises, or `poll` does.
void parallel_for(int threads, size_t count, Poll& poll, const std::function<void(size_t)>& body);

}  // namespace proxima
