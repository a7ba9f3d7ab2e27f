#include "superops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>

namespace proxima {
namespace {

using Square = std::vector<double>;

Square product(const Square& a, const Square& b, size_t size) {
    Square out(size * size);
    for (size_t i = 0; i < size; ++i)
        for (size_t k = 0; k < size; ++k) {
            const double factor = a[i * size + k];
            if (factor == 0) continue;
            for (size_t j = 0; j < size; ++j) out[i * size + j] += factor * b[k * size + j];
        }
    return out;
}

Square kron(const Transfer& high, const Transfer& low) {
    Square out(256);
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 16; ++j) out[16 * i + j] = high[4 * (i / 4) + j / 4] * low[4 * (i % 4) + j % 4];
    return out;
}

// The same matrix with its qubits in ascending order.
Superop sorted(std::vector<int> qubits, const Square& matrix) {
    const int k = int(qubits.size());
    std::vector<int> order(k);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int a, int b) { return qubits[a] < qubits[b]; });
    Superop out;
    for (int at : order) out.qubits.push_back(qubits[at]);
    if (std::is_sorted(order.begin(), order.end())) {
        out.matrix = matrix;
        return out;
    }
    const size_t size = size_t(1) << 2 * k;
    const auto before = [&](size_t index) {
        size_t from = 0;
        for (int j = 0; j < k; ++j) from |= (index >> 2 * j & 3) << 2 * order[j];
        return from;
    };
    out.matrix.resize(size * size);
    for (size_t i = 0; i < size; ++i)
        for (size_t j = 0; j < size; ++j) out.matrix[i * size + j] = matrix[before(i) * size + before(j)];
    return out;
}

bool is_identity(const Transfer& a) { return a == NO_CHANNEL; }

Transfer transfer_in(const Square& matrix) {
    Transfer out;
    std::copy(matrix.begin(), matrix.end(), out.begin());
    return out;
}

// Gathers what acts on one qubit into the two-qubit matrices around it.
class Fusion {
public:
    explicit Fusion(int num_qubits) : wires_(num_qubits) {}

    void add(const std::vector<int>& qubits, const Square& matrix) {
        if (qubits.size() == 1) {
            Transfer& last = wires_[qubits[0]].after;
            last = after(transfer_in(matrix), last);
        } else if (qubits.size() == 2) {
            add_pair(sorted(qubits, matrix));
        } else {
            for (int q : qubits) close(q);
            list_.push_back(sorted(qubits, matrix));
        }
    }

    std::vector<Superop> finish() {
        for (int q = 0; q < int(wires_.size()); ++q) close(q);
        return std::move(list_);
    }

private:
    struct Wire {
        Transfer after = NO_CHANNEL;   // what is still to be applied to the qubit
        std::optional<size_t> pair{};  // the two-qubit matrix that was the last before it
    };

    void add_pair(Superop op) {
        const int low = op.qubits[0], high = op.qubits[1];
        if (wires_[low].pair && wires_[low].pair == wires_[high].pair) {
            Square& matrix = list_[*wires_[low].pair].matrix;
            matrix = product(op.matrix, product(take(high, low), matrix, 16), 16);
            return;
        }
        for (int q : op.qubits)
            if (wires_[q].pair) close(q);
        op.matrix = product(op.matrix, take(high, low), 16);
        wires_[low].pair = wires_[high].pair = list_.size();
        list_.push_back(std::move(op));
    }

    Square take(int high, int low) {
        Square out = kron(wires_[high].after, wires_[low].after);
        wires_[high].after = wires_[low].after = NO_CHANNEL;
        return out;
    }

    // What is still to be applied to the qubit becomes part of the pair before it, or else a matrix of its own.
    void close(int q) {
        Wire& wire = wires_[q];
        if (!is_identity(wire.after)) {
            if (wire.pair) {
                Superop& op = list_[*wire.pair];
                const bool is_low = op.qubits[0] == q;
                op.matrix = product(is_low ? kron(NO_CHANNEL, wire.after) : kron(wire.after, NO_CHANNEL), op.matrix, 16);
            } else {
                list_.push_back({{q}, {wire.after.begin(), wire.after.end()}});
            }
            wire.after = NO_CHANNEL;
        }
        wire.pair.reset();
    }

    std::vector<Wire> wires_;
    std::vector<Superop> list_;
};

// The norm of |M| D at most, D being how often each term of a row's sum is rounded.
double rounding_of(const Square& matrix, size_t size) {
    std::vector<double> columns(size);
    double most = 0;
    for (size_t i = 0; i < size; ++i) {
        double row = 0;
        for (size_t j = 0; j < size; ++j) {
            const double weighted = std::abs(matrix[i * size + j]) * double(size - j + 2);
            row += weighted;
            columns[j] += weighted;
        }
        most = std::max(most, row);
    }
    return std::sqrt(most * *std::max_element(columns.begin(), columns.end()));
}

}  // namespace

int too_wide(const Plan& plan) {
    size_t most = 0;
    for (const Unit& unit : plan.units()) {
        if (unit.channel) most = std::max(most, unit.channel->qubits.size());
        if (unit.gates)
            for (const Gate& gate : *unit.gates) most = std::max(most, gate.qubits.size());
    }
    return most > MOST_SUPER_QUBITS ? int(most) : 0;
}

Superops superops_of(const Plan& plan, size_t begin, int num_qubits) {
    if (too_wide(plan)) throw std::invalid_argument("a matrix acts on " + std::to_string(too_wide(plan)) + " qubits");
    const std::vector<Unit> units = plan.units();
    Fusion fusion(num_qubits);
    for (size_t at = begin; at < units.size(); ++at) {
        if (units[at].channel) fusion.add(units[at].channel->qubits, transfer_matrix(units[at].channel->kraus));
        if (units[at].gates)
            for (const Gate& gate : *units[at].gates) fusion.add(gate.qubits, transfer_matrix({gate.matrix}));
    }
    for (const Tail& tail : plan.tails) {
        const size_t size = tail.eigenvalues.size();
        Square matrix(size * size);
        for (size_t i = 0; i < size; ++i) matrix[i * size + i] = tail.eigenvalues[i];
        fusion.add(tail.qubits, matrix);
    }
    Superops out;
    out.num_qubits = num_qubits;
    out.list = fusion.finish();
    // The error of a coefficient vector of norm at most sqrt(2^n) is one of rho of that over sqrt(2^n) in the Frobenius
    // norm, and a trace norm is at most sqrt(2^n) times that.
    for (const Superop& op : out.list) {
        const size_t size = size_t(1) << 2 * op.qubits.size();
        out.products += double(size);
        out.rounding += 0.5 * std::sqrt(std::ldexp(1.0, num_qubits)) * rounding_of(op.matrix, size);
    }
    return out;
}

std::vector<Pass> passes_of(const Superops& ops, int digits, int always) {
    std::vector<size_t> left(ops.list.size());
    std::iota(left.begin(), left.end(), size_t(0));
    std::vector<Pass> out;
    while (!left.empty()) {
        Pass pass;
        std::vector<bool> resident(ops.num_qubits), waiting(ops.num_qubits);
        int room = digits;
        for (int q = 0; q < std::min(always, ops.num_qubits); ++q) resident[q] = true, --room;
        std::vector<size_t> later;
        for (size_t at : left) {
            const std::vector<int>& on = ops.list[at].qubits;
            const int added = int(std::count_if(on.begin(), on.end(), [&](int q) { return !resident[q]; }));
            const bool ready = std::none_of(on.begin(), on.end(), [&](int q) { return waiting[q]; });
            // What has no room beside the lowest digits has a pass of its own all the same.
            if (ready && (added <= room || pass.ops.empty())) {
                pass.ops.push_back(at);
                room -= added;
                for (int q : on) resident[q] = true;
            } else {
                later.push_back(at);
                for (int q : on) waiting[q] = true;
            }
        }
        // Digits that are fixed only cost copying: as long as there is room, the lowest of them vary too.
        for (int q = 0; q < ops.num_qubits && room > 0; ++q)
            if (!resident[q]) resident[q] = true, --room;
        for (int q = 0; q < ops.num_qubits; ++q)
            if (resident[q]) pass.resident.push_back(q);
        out.push_back(std::move(pass));
        left = std::move(later);
    }
    return out;
}

}  // namespace proxima
