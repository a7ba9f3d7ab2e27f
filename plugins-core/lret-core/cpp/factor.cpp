#include "factor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace proxima {

AnyFactor::AnyFactor(int num_qubits, int threads, double memory)
    : AnyState(num_qubits, threads, memory), next_compress_(FIRST_COMPRESS) {}

template <typename T>
Factor<T>::Factor(int num_qubits, int threads, double memory)
    : AnyFactor(num_qubits, threads, memory), Columns<T>(num_qubits, threads) {
    if (this->tile_bytes() > memory) throw OutOfMemory(this->tile_bytes(), 0);
    this->start();
}

template <typename T>
size_t Factor<T>::advance(const Plan& plan, size_t begin, const std::vector<double>& most, Poll& poll) {
    const std::vector<Unit> units = plan.units();
    if (tape_) tape_->plans.push_back(plan);
    for (size_t at = begin; at < units.size(); ++at) {
        if (tape_) tape_->step = units[at].step;
        if (units[at].gates) {
            Columns<T>::apply(*units[at].gates, poll);
            continue;
        }
        const bool may_stop = !most.empty();
        if (may_stop && double(rank()) > most[at]) return at;
        if (!apply(*units[at].channel, may_stop, poll)) return at;
        most_columns_ = std::max(most_columns_, rank());
        if (rank() >= next_compress_) compress(false, poll);
    }
    return units.size();
}

// Drops the lightest error pieces that the budget allows, and says which are to be made, by parent.
template <typename T>
std::vector<Piece> Factor<T>::choose(const std::vector<double>& weights, int operators) {
    std::vector<size_t> order;
    for (size_t i = 0; i < weights.size(); ++i)
        if (i % operators) order.push_back(i);
    const double allowed = std::max(budget.allowed_to_prune(), 0.0);
    double dropped = 0;
    // All before `first` are dropped and all from `end` on are kept: whether its lighter half can be dropped as well
    // says which half of those between is left to decide on.
    auto first = order.begin(), end = order.end();
    while (first != end) {
        const auto middle = first + (end - first) / 2;
        std::nth_element(first, middle, end, [&](size_t a, size_t b) {
            return weights[a] != weights[b] ? weights[a] < weights[b] : a < b;
        });
        const double half = std::accumulate(first, middle + 1, 0.0, [&](double sum, size_t i) { return sum + weights[i]; });
        if (dropped + half <= allowed) {
            dropped += half;
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    budget.spent += dropped;
    std::sort(first, order.end());
    std::vector<Piece> out;
    for (; first != order.end(); ++first) out.push_back({*first / operators, int(*first % operators), weights[*first]});
    return out;
}

template <typename T>
bool Factor<T>::apply(const Channel& channel, bool may_stop, Poll& poll) {
    poll();
    budget.done += channel.error;
    const int operators = int(channel.kraus.size());
    std::vector<double> weights = this->piece_weights(channel, poll);
    const double spent = budget.spent;
    std::vector<Piece> pieces = choose(weights, operators);
    if (!fits(rank() + pieces.size())) {  // a truncation may make room
        budget.spent = spent;
        compress(true, poll);
        const double before = budget.spent;
        weights = this->piece_weights(channel, poll);
        pieces = choose(weights, operators);
        if (!fits(rank() + pieces.size())) {
            if (!may_stop) refuse(std::move(pieces));
            budget.spent = before;
            budget.done -= channel.error;
            return false;
        }
    }
    if (tape_) record(channel, pieces);
    Columns<T>::apply(channel, weights, pieces, false, poll);
    return true;
}

// Whether that many columns, and a tile for apply_first, keep to the memory given.
template <typename T>
bool Factor<T>::fits(size_t columns) const {
    return this->tile_bytes() * double(columns / LANES<T> + 2) <= memory_;
}

template <typename T>
void Factor<T>::refuse(std::vector<Piece> pieces) const {
    const size_t room = size_t(std::max(0.0, memory_ / this->tile_bytes() - 2)) * LANES<T>;
    const size_t over = std::min(pieces.size(), rank() + pieces.size() - std::min(room, rank() + pieces.size()));
    std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.weight < b.weight; });
    double weight = budget.spent + budget.rounding;
    for (size_t i = 0; i < over; ++i) weight += pieces[i].weight;
    throw OutOfMemory(this->tile_bytes() * double((rank() + pieces.size()) / LANES<T> + 2), weight / budget.share());
}

template <typename T>
Factor<T>::Factor(const Factor& other, int qubit, int outcome, double share)
    : AnyFactor(other.num_qubits(), other.AnyState::threads_, other.memory_),
      Columns<T>(other.num_qubits(), other.AnyState::threads_) {
    budget = other.budget;
    most_columns_ = other.most_columns_;
    scale_ = other.scale_ * std::sqrt(share);
    if (2 * other.bytes() > memory_) throw OutOfMemory(2 * other.bytes(), 0);
    tiles_ = this->new_tiles(other.tiles_.size());
    for (size_t t = 0; t < tiles_.size(); ++t)
        for (size_t row = 0; row < rows_; ++row)
            if (int(row >> qubit & 1) == outcome)
                std::memcpy(tiles_[t].get() + row * 2 * LANES<T>, other.tiles_[t].get() + row * 2 * LANES<T>, ROW_BYTES);
    Poll quiet([] { return true; });
    weights_ = this->stored_norms(quiet);
    weights_.resize(other.rank());
    for (double& weight : weights_) weight *= scale_ * scale_;
    next_compress_ = std::max(FIRST_COMPRESS, other.next_compress_);
}

template <typename T>
std::unique_ptr<AnyState> Factor<T>::project(int qubit, int outcome, double share) const {
    return std::unique_ptr<AnyState>(new Factor(*this, qubit, outcome, share));
}

template <typename T>
void Factor<T>::absorb(const AnyState& any) {
    const auto& other = dynamic_cast<const Factor&>(any);
    Poll quiet([] { return true; });
    const size_t before = rank();
    if (!fits(before + other.rank())) throw OutOfMemory(bytes() + other.bytes(), 0);
    std::vector<size_t> all(other.rank());
    std::iota(all.begin(), all.end(), size_t(0));
    this->take(other, all, quiet);
    budget.total += other.budget.total;
    budget.spent += other.budget.spent;
    budget.rounding += other.budget.rounding;
    most_columns_ = std::max({most_columns_, other.most_columns_, rank()});
    if (rank() >= next_compress_) compress(false, quiet);
}

template class Factor<float>;
template class Factor<double>;

}  // namespace proxima
