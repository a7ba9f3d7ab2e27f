#include "plan.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "gates.h"

namespace proxima {

// A row of the matrix is a real dot product of length d = 2 * 2^k, off by (d + 1) roundoffs of the products' absolute
// values (the matrix's own rounding included); the absolute matrix has norm at most its Frobenius norm, sqrt(d).
double gate_rounding(int k) {
    const double d = std::ldexp(2.0, k);
    return (d + 1) * std::sqrt(d);
}

std::vector<Unit> Plan::units() const {
    std::vector<Unit> out;
    for (size_t s = 0; s < steps.size(); ++s) {
        if (!steps[s].gates.empty()) out.push_back({s, &steps[s].gates, nullptr});
        for (const Channel& channel : steps[s].channels) out.push_back({s, nullptr, &channel});
    }
    return out;
}

namespace {

struct Row {
    int op;
    std::vector<int> qubits;
    const double* params;
    const std::vector<Matrix>* matrices;
    std::vector<Slope> slopes;
};

[[noreturn]] void refuse(size_t row, const std::string& why) {
    throw std::invalid_argument("operation " + std::to_string(row) + ": " + why);
}

Row read(const Operations& in, size_t row, int num_qubits) {
    const int op = in.ops[row];
    int arity, num_params;
    if (!shape_of(op, arity, num_params)) refuse(row, "unknown operation code " + std::to_string(op));
    const int begin = in.qubit_offsets[row], end = in.qubit_offsets[row + 1];
    if (begin < 0 || end < begin || size_t(end) > in.num_qubits_listed) refuse(row, "the qubit offsets are inconsistent");
    if (arity >= 0 && end - begin != arity) refuse(row, "wrong number of qubits");
    Row out{op, {in.qubits + begin, in.qubits + end}, nullptr, nullptr, {}};
    for (size_t a = 0; a < out.qubits.size(); ++a) {
        if (out.qubits[a] < 0 || out.qubits[a] >= num_qubits)
            refuse(row, "qubit " + std::to_string(out.qubits[a]) + " is out of range");
        if (op != BARRIER && std::count(out.qubits.begin(), out.qubits.end(), out.qubits[a]) > 1)
            refuse(row, "qubit " + std::to_string(out.qubits[a]) + " is used twice");
    }
    const int first = in.param_offsets[row], last = in.param_offsets[row + 1];
    if (first < 0 || last - first != num_params || size_t(last) > in.num_params_listed)
        refuse(row, "wrong number of parameters");
    out.params = in.params + first;
    for (int k = 0; k < num_params; ++k) {
        if (!std::isfinite(out.params[k])) refuse(row, "a parameter is not a finite number");
        if (op >= DEPOLARIZING && !(out.params[k] >= 0 && out.params[k] <= 1))
            refuse(row, "a probability lies outside [0, 1]");
    }
    if (op == PAULI_CHANNEL && out.params[0] + out.params[1] + out.params[2] > 1 + 1e-8)
        refuse(row, "the probabilities sum to more than 1");
    if (op == UNITARY || op == KRAUS) {
        const int payload = in.payloads[row];
        if (payload < 0 || size_t(payload) >= in.matrices.size() || in.matrices[payload].empty())
            refuse(row, "the matrix is missing");
        out.matrices = &in.matrices[payload];
        if (op == UNITARY && out.matrices->size() != 1) refuse(row, "takes one matrix");
        if (out.qubits.empty() || out.qubits.size() > 12) refuse(row, "a matrix acts on 1 to 12 qubits");
        for (const Matrix& m : *out.matrices)
            if (m.size != 1 << out.qubits.size()) refuse(row, "a matrix has the wrong size");
    }
    if (op == MEASURE) refuse(row, "a measurement is not part of a plan");
    for (int k = 0; in.param_refs && k < num_params; ++k) {
        const int parameter = in.param_refs[first + k];
        if (parameter < 0) continue;
        if (op >= UNITARY) refuse(row, "only a gate's parameters have a gradient");
        out.slopes.push_back({parameter, in.coefficients[first + k] * slope_of(op, out.params, num_params, k)});
    }
    return out;
}

bool is_gate(const Row& row) { return row.op < UNITARY || row.op == UNITARY; }

// Rows whose gate is the last on both of its two qubits, with nothing but one-qubit Pauli channels after it.
std::vector<bool> last_pairs(const std::vector<Row>& rows, int num_qubits) {
    std::vector<bool> found(rows.size()), closed(num_qubits);
    for (size_t i = rows.size(); i-- > 0;) {
        const Row& row = rows[i];
        if (row.op == BARRIER) continue;
        const bool pauli_noise = row.qubits.size() == 1 && row.op >= DEPOLARIZING && row.op <= PAULI_CHANNEL;
        if (pauli_noise) continue;
        if (is_gate(row) && row.qubits.size() == 2) found[i] = !closed[row.qubits[0]] && !closed[row.qubits[1]];
        for (int q : row.qubits) closed[q] = true;
    }
    return found;
}

class Planner {
public:
    Planner(int num_qubits, bool fresh) : wires_(num_qubits), phase_(num_qubits) {
        for (Wire& wire : wires_) wire.fresh = fresh;
    }

    void add(const Row& row, bool may_keep) {
        if (row.op == BARRIER || row.op == ID) return;
        if (is_gate(row)) {
            const Varying matrix{row.op == UNITARY ? (*row.matrices)[0] : unitary_of(row.op, row.params), row.slopes};
            if (row.qubits.size() == 1) {
                turn(row.qubits[0], matrix);
            } else if (row.qubits.size() == 2) {
                tie(row.qubits[0], row.qubits[1], matrix, may_keep);
            } else {
                for (int q : row.qubits) settle(q);
                emit(Gate{row.qubits, matrix.value, matrix.slopes});
            }
            return;
        }
        const std::vector<Matrix> kraus = row.op == KRAUS ? *row.matrices : kraus_of(row.op, row.params);
        if (row.qubits.size() == 1) {
            Wire& wire = wires_[row.qubits[0]];
            const Transfer noise = transfer_of(kraus);
            if (wire.pair >= 0) {
                Tail& tail = plan_.tails[wire.pair];
                const bool second = tail.qubits[1] == row.qubits[0];
                for (int s = 0; s < 16; ++s) tail.eigenvalues[s] *= noise[5 * (second ? s / 4 : s % 4)];
            } else {
                wire.noise = after(noise, wire.noise);
                wire.noisy = true;
            }
        } else {
            for (int q : row.qubits) settle(q);
            emit(channel_of(row.qubits, kraus));
        }
    }

    Plan finish(bool last) {
        for (int q = 0; q < int(wires_.size()); ++q) {
            Wire& wire = wires_[q];
            if (last && wire.noisy && is_pauli(wire.noise)) {
                plan_.tails.push_back({{q}, {wire.noise[0], wire.noise[5], wire.noise[10], wire.noise[15]}});
                wire.noisy = false;
            }
            settle(q);
        }
        return std::move(plan_);
    }

private:
    // What is still to be done to a qubit: a unitary, then noise.
    struct Wire {
        Varying unitary;  // empty: none
        Transfer noise = NO_CHANNEL;
        bool noisy = false;
        bool fresh = false;  // |0> and tied to no other qubit
        int pair = -1;       // the tail that takes its further noise
    };

    void turn(int q, const Varying& matrix) {
        Wire& wire = wires_[q];
        if (wire.noisy && turns(matrix, wire.noise, false)) flush(q);
        wire.unitary = wire.unitary.value.size ? matrix * wire.unitary : matrix;
        if (wire.noisy) {
            const Transfer carried = transfer_of({matrix.value});
            wire.noise = after(carried, after(wire.noise, transposed(carried)));
        }
    }

    // Emits the qubit's noise, as a channel before its unitary, which stays where noise can be moved before it.
    void flush(int q) {
        Wire& wire = wires_[q];
        if (wire.noisy) {
            const Transfer noise = std::exchange(wire.noise, NO_CHANNEL);
            wire.noisy = false;
            if (turns(wire.unitary, noise, true)) {
                emit(q, take(q));
                emit(channel_of(q, noise));
            } else {
                const Transfer turned = wire.unitary.value.size ? transfer_of({wire.unitary.value}) : NO_CHANNEL;
                const Transfer before = after(transposed(turned), after(noise, turned));
                if (wire.fresh) {
                    wire.unitary = take(q) * flip(q, before);
                } else {
                    emit(channel_of(q, before));
                }
            }
        }
        wire.fresh = false;
    }

    // Emits a channel on a qubit in |0> as what it is there: a flip, and a unitary that is returned.
    Varying flip(int q, const Transfer& channel) {
        // The qubit's density matrix, its eigenvectors, and the chance of the second of them.
        Matrix rho(2);
        for (int a = 0; a < 4; ++a)
            for (int e = 0; e < 4; ++e) rho.at[e] += 0.5 * (channel[4 * a] + channel[4 * a + 3]) * pauli(a).at[e];
        const Eigen eigen = hermitian_eigen(rho);
        const double flipped = std::max(0.0, eigen.values[1]);
        if (flipped > 1e-15) emit(channel_of({q}, {std::sqrt(1 - flipped) * pauli(0), std::sqrt(flipped) * pauli(1)}));
        return {eigen.vectors, {}};
    }

    // Emits all that is still to be done to the qubit.
    void settle(int q) {
        flush(q);
        if (wires_[q].unitary.value.size) emit(q, take(q));
    }

    Varying take(int q) {
        Varying out = std::exchange(wires_[q].unitary, Varying());
        return out.value.size ? out : Varying{Matrix::identity(2), {}};
    }

    void tie(int a, int b, const Varying& matrix, bool may_keep) {
        Wire &first = wires_[a], &second = wires_[b];
        std::array<double, 16> eigenvalues{};
        const bool keep = may_keep && (first.noisy || second.noisy) && matrix.slopes.empty() &&
                          is_pauli(first.noise) && is_pauli(second.noise) &&
                          conjugate(matrix.value, first.noise, second.noise, eigenvalues);
        if (keep) {
            first.noisy = second.noisy = false;
            first.noise = second.noise = NO_CHANNEL;
            first.pair = second.pair = int(plan_.tails.size());
            plan_.tails.push_back({{a, b}, {eigenvalues.begin(), eigenvalues.end()}});
        }
        flush(a);
        flush(b);
        Varying fused = matrix * kron(take(b), take(a));
        if (Gate* before = last_gate(a, b)) {
            if (before->qubits[0] != a) fused = swapped(fused);
            fused = fused * Varying{std::move(before->matrix), std::move(before->slopes)};
            before->matrix = std::move(fused.value);
            before->slopes = std::move(fused.slopes);
        } else {
            emit(Gate{{a, b}, std::move(fused.value), std::move(fused.slopes)});
        }
    }

    static Varying swapped(Varying m) {
        for (Slope& slope : m.slopes) slope.matrix = swapped(slope.matrix);
        return {swapped(m.value), std::move(m.slopes)};
    }

    static Matrix swapped(const Matrix& m) {
        static const int other[4] = {0, 2, 1, 3};
        Matrix out(4);
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j) out(i, j) = m(other[i], other[j]);
        return out;
    }

    // The gate on exactly these two qubits after which nothing has touched either; null where there is none.
    Gate* last_gate(int a, int b) {
        if (phase_[a] != phase_[b] || phase_[a] % 2 || size_t(phase_[a] / 2) >= plan_.steps.size()) return nullptr;
        std::vector<Gate>& gates = plan_.steps[phase_[a] / 2].gates;
        for (auto gate = gates.rbegin(); gate != gates.rend(); ++gate) {
            const std::vector<int>& on = gate->qubits;
            const bool has_a = std::count(on.begin(), on.end(), a), has_b = std::count(on.begin(), on.end(), b);
            if (has_a || has_b) return has_a && has_b && on.size() == 2 ? &*gate : nullptr;
        }
        return nullptr;
    }

    // The step in which the qubits are first free for gates (kind 0) or channels (kind 1).
    Step& place(const std::vector<int>& qubits, int kind) {
        int phase = 0;
        for (int q : qubits) phase = std::max(phase, phase_[q]);
        if (phase % 2 != kind) ++phase;
        for (int q : qubits) phase_[q] = phase;
        if (plan_.steps.size() <= size_t(phase / 2)) plan_.steps.resize(phase / 2 + 1);
        return plan_.steps[phase / 2];
    }

    void emit(int q, Varying unitary) { emit(Gate{{q}, std::move(unitary.value), std::move(unitary.slopes)}); }

    void emit(Gate gate) {
        plan_.rounding += gate_rounding(int(gate.qubits.size()));
        place(gate.qubits, 0).gates.push_back(std::move(gate));
    }

    void emit(Channel channel) {
        if (channel.kraus.size() == 1 && channel.keeps_first) return;
        // The error columns are made by one product more; the others are multiplied too unless they stay as they are.
        const double made = channel.keeps_first ? channel.error : 1;
        plan_.rounding += (gate_rounding(int(channel.qubits.size())) + 2) * made;
        plan_.error += channel.error;
        place(channel.qubits, 1).channels.push_back(std::move(channel));
    }

    std::vector<Wire> wires_;
    std::vector<int> phase_;  // per qubit: 2 * step + kind of the last thing emitted on it
    Plan plan_;
};

}  // namespace

Plan plan_of(const Operations& operations, int num_qubits, bool fresh, bool last) {
    std::vector<Row> rows;
    rows.reserve(operations.count);
    for (size_t row = 0; row < operations.count; ++row) rows.push_back(read(operations, row, num_qubits));
    const std::vector<bool> pairs = last ? last_pairs(rows, num_qubits) : std::vector<bool>(rows.size());
    Planner planner(num_qubits, fresh);
    for (size_t row = 0; row < rows.size(); ++row) planner.add(rows[row], pairs[row]);
    return planner.finish(last);
}

}  // namespace proxima
