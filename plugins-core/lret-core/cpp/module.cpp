// The native border: what Python hands over is checked here, whatever Python has checked before.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/complex.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>
#include <string>
#include <tuple>
#include <typeinfo>

#include "density.h"
#include "trajectories.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace proxima;

namespace {

template <typename T>
using Column = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Stack = nb::ndarray<const std::complex<double>, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

constexpr int MOST_QUBITS = 40;

void check_qubits(int num_qubits) {
    if (num_qubits < 1 || num_qubits > MOST_QUBITS)
        throw std::invalid_argument("from 1 to " + std::to_string(MOST_QUBITS) + " qubits are possible, not " +
                                    std::to_string(num_qubits));
}

Plan make_plan(Column<uint8_t> ops, Column<int32_t> qubit_offsets, Column<int32_t> qubits,
               Column<int32_t> param_offsets, Column<double> params, Column<int32_t> payloads,
               const std::vector<Stack>& matrices, int num_qubits, bool fresh, bool last,
               std::optional<Column<int32_t>> param_refs, std::optional<Column<double>> coefficients) {
    check_qubits(num_qubits);
    Operations in;
    in.count = ops.shape(0);
    if (qubit_offsets.shape(0) != in.count + 1 || param_offsets.shape(0) != in.count + 1 ||
        payloads.shape(0) != in.count)
        throw std::invalid_argument("the columns differ in length");
    in.ops = ops.data();
    in.qubit_offsets = qubit_offsets.data();
    in.qubits = qubits.data();
    in.param_offsets = param_offsets.data();
    in.params = params.data();
    in.payloads = payloads.data();
    in.num_qubits_listed = qubits.shape(0);
    in.num_params_listed = params.shape(0);
    if (param_refs.has_value() != coefficients.has_value()) throw std::invalid_argument("a column is missing");
    if (param_refs) {
        if (param_refs->shape(0) != params.shape(0) || coefficients->shape(0) != params.shape(0))
            throw std::invalid_argument("the columns differ in length");
        in.param_refs = param_refs->data();
        in.coefficients = coefficients->data();
    }
    for (const Stack& stack : matrices) {
        if (stack.shape(1) != stack.shape(2) || stack.shape(1) > 4096) throw std::invalid_argument("a matrix is not square");
        std::vector<Matrix> list;
        const size_t entries = stack.shape(1) * stack.shape(2);
        for (size_t k = 0; k < stack.shape(0); ++k) {
            const std::complex<double>* begin = stack.data() + k * entries;
            list.emplace_back(int(stack.shape(1)), std::vector<Complex>(begin, begin + entries));
        }
        in.matrices.push_back(std::move(list));
    }
    nb::gil_scoped_release released;
    return plan_of(in, num_qubits, fresh, last);
}

std::unique_ptr<AnyFactor> make_factor(int num_qubits, bool single, int threads, double memory) {
    check_qubits(num_qubits);
    if (!(memory >= 0)) throw std::invalid_argument("the memory is not a number of bytes");
    if (single) return std::make_unique<Factor<float>>(num_qubits, threads, memory);
    return std::make_unique<Factor<double>>(num_qubits, threads, memory);
}

void check_fits(int num_qubits, const Plan& plan) {
    const auto check = [&](const std::vector<int>& qubits) {
        for (int q : qubits)
            if (q >= num_qubits) throw std::invalid_argument("the plan is for more qubits");
    };
    for (const Step& step : plan.steps) {
        for (const Gate& gate : step.gates) check(gate.qubits);
        for (const Channel& channel : step.channels) check(channel.qubits);
    }
    for (const Tail& tail : plan.tails) check(tail.qubits);
}

void check_qubit(const AnyState& state, int qubit) {
    if (qubit < 0 || qubit >= state.num_qubits())
        throw std::invalid_argument("qubit " + std::to_string(qubit) + " is out of range");
}

std::unique_ptr<AnyTrajectories> make_trajectories(int num_qubits, int num_clbits, bool single, int threads,
                                                   uint64_t shots, uint64_t seed) {
    check_qubits(num_qubits);
    if (num_clbits < 0) throw std::invalid_argument("there cannot be fewer than no classical bits");
    if (shots > uint64_t(1) << 40) throw std::invalid_argument("at most 2^40 shots are drawn at once");
    if (single) return std::make_unique<Trajectories<float>>(num_qubits, num_clbits, threads, shots, seed);
    return std::make_unique<Trajectories<double>>(num_qubits, num_clbits, threads, shots, seed);
}

std::unique_ptr<AnyDensity> make_density(int num_qubits, bool single, int threads, double memory) {
    if (num_qubits < 1 || num_qubits > MOST_QUBITS / 2)
        throw std::invalid_argument("a density matrix has 1 to 20 qubits, not " + std::to_string(num_qubits));
    if (!(memory >= 0)) throw std::invalid_argument("the memory is not a number of bytes");
    if (single) return std::make_unique<Density<float>>(num_qubits, threads, memory);
    return std::make_unique<Density<double>>(num_qubits, threads, memory);
}

double spent_of(const AnyState& state) { return state.budget.spent; }
double spent_of(const AnyTrajectories&) { return 0; }
size_t columns_of(const AnyState& state) { return state.rank(); }
size_t columns_of(const AnyTrajectories& trajectories) { return trajectories.count(); }

// Runs `work` without Python's lock, asking `go_on(columns, spent)` now and then whether to continue.
template <typename State, typename Work>
void run(const State& state, nb::callable go_on, Work work) {
    nb::gil_scoped_release released;
    Poll poll([&] {
        nb::gil_scoped_acquire held;
        return nb::cast<bool>(go_on(columns_of(state), spent_of(state)));
    });
    work(poll);
}

std::unique_ptr<AnyDensity> density_of(const AnyFactor& any, int threads, double memory, nb::callable go_on) {
    if (any.num_qubits() > MOST_QUBITS / 2) throw std::invalid_argument("a density matrix has at most 20 qubits");
    std::unique_ptr<AnyDensity> out;
    run(any, go_on, [&](Poll& poll) {
        if (const auto* factor = dynamic_cast<const Factor<float>*>(&any))
            out = std::make_unique<Density<float>>(*factor, threads, memory, poll);
        else
            out = std::make_unique<Density<double>>(dynamic_cast<const Factor<double>&>(any), threads, memory, poll);
    });
    return out;
}

bool same_precision(const AnyTrajectories& trajectories, const AnyFactor& factor) {
    return (dynamic_cast<const Trajectories<float>*>(&trajectories) != nullptr) ==
           (dynamic_cast<const Factor<float>*>(&factor) != nullptr);
}

template <typename State>
std::unique_ptr<State> project(const State& state, int qubit, int outcome, double share) {
    check_qubit(state, qubit);
    if (!(share >= 0 && share <= 1)) throw std::invalid_argument("a share lies in [0, 1]");
    nb::gil_scoped_release released;
    return std::unique_ptr<State>(static_cast<State*>(state.project(qubit, outcome, share).release()));
}

nb::ndarray<nb::numpy, double> array_of(std::vector<double>* data, std::initializer_list<size_t> shape) {
    nb::capsule owner(data, [](void* p) noexcept { delete static_cast<std::vector<double>*>(p); });
    return nb::ndarray<nb::numpy, double>(data->data(), shape, owner);
}

// A Pauli string as (x, z, factor): see PauliTerms.
using Term = std::tuple<uint64_t, uint64_t, Complex>;

std::pair<std::vector<double>, nb::ndarray<nb::numpy, double>> gradient(AnyFactor& f, const std::vector<std::vector<Term>>& sums,
                                                                       int num_parameters, nb::callable go_on) {
    std::vector<PauliTerms> terms;
    for (const std::vector<Term>& sum : sums) {
        PauliTerms& to = terms.emplace_back();
        for (const auto& [x, z, factor] : sum) {
            if ((x | z) >> f.num_qubits()) throw std::invalid_argument("a Pauli string acts beyond the last qubit");
            to.x.push_back(x);
            to.z.push_back(z);
            to.factors.push_back(factor);
        }
    }
    if (num_parameters < 0) throw std::invalid_argument("a number of parameters is not negative");
    Gradient out;
    run(f, go_on, [&](Poll& poll) { out = f.gradient(terms, num_parameters, poll); });
    auto* slopes = new std::vector<double>(std::move(out.slopes));
    return {out.values, array_of(slopes, {sums.size(), size_t(num_parameters)})};
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("instruction_set") = kernels<float>().name;
    m.def("usable_threads", &usable_threads, "wanted"_a);

    static nb::object out_of_memory = nb::steal(PyErr_NewException("proxima_lret_core._native.OutOfMemory",
                                                                   PyExc_MemoryError, nullptr));
    static nb::object cancelled = nb::steal(PyErr_NewException("proxima_lret_core._native.Cancelled",
                                                               PyExc_RuntimeError, nullptr));
    m.attr("OutOfMemory") = out_of_memory;
    m.attr("Cancelled") = cancelled;
    nb::register_exception_translator([](const std::exception_ptr& p, void*) {
        try {
            std::rethrow_exception(p);
        } catch (const OutOfMemory& error) {
            PyErr_SetObject(out_of_memory.ptr(), nb::make_tuple(error.bytes, error.tolerance).ptr());
        } catch (const Cancelled& error) {
            PyErr_SetString(cancelled.ptr(), error.what());
        }
    });

    nb::class_<Plan>(m, "Plan")
        .def_ro("error", &Plan::error)
        .def_ro("rounding", &Plan::rounding)
        .def_prop_ro("tails",
                     [](const Plan& plan) {
                         std::vector<std::pair<std::vector<int>, std::vector<double>>> out;
                         for (const Tail& tail : plan.tails) out.emplace_back(tail.qubits, tail.eigenvalues);
                         return out;
                     })
        .def_prop_ro("num_gates",
                     [](const Plan& plan) {
                         size_t count = 0;
                         for (const Step& step : plan.steps) count += step.gates.size();
                         return count;
                     })
        .def_prop_ro("num_channels",
                     [](const Plan& plan) {
                         size_t count = 0;
                         for (const Step& step : plan.steps) count += step.channels.size();
                         return count;
                     })
        .def_prop_ro("too_wide", &too_wide)
        .def_prop_ro("num_units", [](const Plan& plan) { return plan.units().size(); })
        .def_prop_ro("products",
                     [](const Plan& plan) {
                         std::vector<double> out;
                         for (const Unit& unit : plan.units()) {
                             out.push_back(0);
                             if (unit.gates)
                                 for (const Gate& gate : *unit.gates) out.back() += double(gate.matrix.size);
                             // Weights that depend on the state take a pass over it, and so does the first operator.
                             if (unit.channel && unit.channel->probabilities.empty())
                                 out.back() += 4.0 * unit.channel->kraus[0].size * unit.channel->kraus[0].size;
                         }
                         return out;
                     })
        .def_prop_ro("channels",
                     [](const Plan& plan) {
                         std::vector<std::pair<double, int>> out;
                         for (const Unit& unit : plan.units())
                             if (unit.channel) out.emplace_back(unit.channel->error, int(unit.channel->kraus.size()));
                         return out;
                     })
        .def("superops", [](const Plan& plan, size_t begin, int num_qubits) {
            check_fits(num_qubits, plan);
            nb::gil_scoped_release released;
            return superops_of(plan, begin, num_qubits);
        }, "begin"_a, "num_qubits"_a);
    m.def("make_plan", &make_plan, "ops"_a.noconvert(), "qubit_offsets"_a.noconvert(), "qubits"_a.noconvert(),
          "param_offsets"_a.noconvert(), "params"_a.noconvert(), "payloads"_a.noconvert(), "matrices"_a,
          "num_qubits"_a, "fresh"_a, "last"_a, "param_refs"_a = nb::none(), "coefficients"_a = nb::none());

    nb::class_<AnyState>(m, "State")
        .def_prop_ro("rank", &AnyState::rank)
        .def_prop_ro("num_bytes", &AnyState::bytes)
        .def_prop_ro("spent", [](const AnyState& s) { return s.budget.spent; })
        .def_prop_ro("rounding", [](const AnyState& s) { return s.budget.rounding; })
        .def_prop_ro("done", [](const AnyState& s) { return s.budget.done; })
        .def_prop_ro("allowed", [](const AnyState& s) { return s.budget.allowed(); })
        .def("charge", [](AnyState& s, double dropped) {
            if (!(dropped >= 0)) throw std::invalid_argument("what is dropped has a weight from 0");
            s.budget.spent += dropped;
        }, "dropped"_a)
        .def("limit", [](AnyState& s, double memory) {
            if (!(memory >= 0)) throw std::invalid_argument("the memory is not a number of bytes");
            s.limit(memory);
        }, "memory"_a)
        .def("grant", [](AnyState& s, double total, double error) {
            if (!(total >= 0 && error >= 0)) throw std::invalid_argument("a budget is a number from 0");
            s.budget.total = total;
            s.budget.error = error;
        }, "total"_a, "error"_a)
        .def("absorb", [](AnyState& s, const AnyState& other) {
            if (typeid(s) != typeid(other) || s.num_qubits() != other.num_qubits() || &s == &other)
                throw std::invalid_argument("the states are not of one kind");
            nb::gil_scoped_release released;
            s.absorb(other);
        }, "other"_a)
        .def("scale_budget", [](AnyState& s, double share) {
            if (!(share >= 0 && share <= 1)) throw std::invalid_argument("a share lies in [0, 1]");
            s.budget.total *= share;
            s.budget.spent *= share;
            s.budget.rounding *= share;
        }, "share"_a)
        .def("trace", [](const AnyState& s) {
            nb::gil_scoped_release released;
            return s.trace();
        })
        .def("probabilities", [](const AnyState& s, nb::callable go_on) {
            auto* out = new std::vector<double>(size_t(1) << s.num_qubits());
            auto array = array_of(out, {out->size()});
            run(s, go_on, [&](Poll& poll) { s.probabilities(out->data(), poll); });
            return array;
        }, "go_on"_a)
        .def("pauli", [](const AnyState& s, uint64_t x, uint64_t z, nb::callable go_on) {
            if ((x | z) >> s.num_qubits()) throw std::invalid_argument("a Pauli string acts beyond the last qubit");
            Complex out;
            run(s, go_on, [&](Poll& poll) { out = s.pauli(x, z, poll); });
            return out;
        }, "x"_a, "z"_a, "go_on"_a)
        .def("reduced", [](const AnyState& s, const std::vector<int>& qubits, nb::callable go_on) {
            uint64_t seen = 0;
            for (int q : qubits) {
                check_qubit(s, q);
                if (seen >> q & 1) throw std::invalid_argument("qubit " + std::to_string(q) + " is listed twice");
                seen |= uint64_t(1) << q;
            }
            if (qubits.size() > 14) throw std::invalid_argument("a density matrix of more than 14 qubits is not made");
            const size_t size = size_t(1) << qubits.size();
            auto* out = new std::vector<double>(2 * size * size);
            auto array = array_of(out, {size, size, 2});
            run(s, go_on, [&](Poll& poll) { s.reduced(qubits, out->data(), poll); });
            return array;
        }, "qubits"_a, "go_on"_a);

    m.def("mix", [](nb::ndarray<double, nb::ndim<3>, nb::c_contig, nb::device::cpu> rho,
                    const std::vector<std::pair<std::vector<int>, std::vector<double>>>& tails, nb::callable go_on) {
        const size_t rows = rho.shape(0);
        if (rho.shape(1) != rows || rho.shape(2) != 2 || !rows || (rows & (rows - 1)) || rows > 1 << 14)
            throw std::invalid_argument("rho is not a square matrix of up to 14 qubits");
        std::vector<Tail> list;
        for (const auto& [qubits, eigenvalues] : tails) {
            if (qubits.empty() || qubits.size() > 2 || eigenvalues.size() != size_t(1) << 2 * qubits.size())
                throw std::invalid_argument("kept noise is on one or two qubits");
            for (int q : qubits)
                if (q < 0 || rows >> q < 2) throw std::invalid_argument("kept noise is on a qubit that is not there");
            list.push_back({qubits, eigenvalues});
        }
        nb::gil_scoped_release released;
        Poll poll([&] {
            nb::gil_scoped_acquire held;
            return nb::cast<bool>(go_on(0, 0.0));
        });
        mix(rho.data(), rows, list, poll);
    }, "rho"_a.noconvert(), "tails"_a, "go_on"_a);

    nb::class_<AnyFactor, AnyState>(m, "Factor")
        .def_prop_ro("most_columns", &AnyFactor::most_columns)
        .def("advance", [](AnyFactor& f, const Plan& plan, size_t begin, const std::vector<double>& most,
                           nb::callable go_on) {
            check_fits(f.num_qubits(), plan);
            if (!most.empty() && most.size() != plan.units().size())
                throw std::invalid_argument("one limit for each unit is needed");
            size_t next = 0;
            run(f, go_on, [&](Poll& poll) { next = f.advance(plan, begin, most, poll); });
            return next;
        }, "plan"_a, "begin"_a, "most"_a, "go_on"_a)
        .def("compress", [](AnyFactor& f, nb::callable go_on) {
            run(f, go_on, [&](Poll& poll) { f.compress(true, poll); });
        }, "go_on"_a)
        .def("project", &project<AnyFactor>, "qubit"_a, "outcome"_a, "share"_a)
        .def("density", &density_of, "threads"_a, "memory"_a, "go_on"_a)
        .def("record", &AnyFactor::record)
        .def("gradient", &gradient, "sums"_a, "num_parameters"_a, "go_on"_a);
    m.def("make_factor", &make_factor, "num_qubits"_a, "single"_a, "threads"_a, "memory"_a);

    nb::class_<Superops>(m, "Superops")
        .def_ro("products", &Superops::products)
        .def_ro("rounding", &Superops::rounding)
        .def_prop_ro("count", [](const Superops& ops) { return ops.list.size(); });
    nb::class_<AnyDensity, AnyState>(m, "Density")
        .def_prop_ro("progress", &AnyDensity::progress)
        .def("advance", [](AnyDensity& d, const Superops& ops, nb::callable go_on) {
            if (ops.num_qubits != d.num_qubits()) throw std::invalid_argument("the plan is for other qubits");
            run(d, go_on, [&](Poll& poll) { d.advance(ops, poll); });
        }, "ops"_a, "go_on"_a)
        .def("project", &project<AnyDensity>, "qubit"_a, "outcome"_a, "share"_a);
    m.def("make_density", &make_density, "num_qubits"_a, "single"_a, "threads"_a, "memory"_a);

    nb::class_<AnyTrajectories>(m, "Trajectories")
        .def_prop_ro("count", &AnyTrajectories::count)
        .def_prop_ro("shots", &AnyTrajectories::shots)
        .def_prop_ro("done", &AnyTrajectories::done)
        .def("bits", [](const AnyTrajectories& t) {
            const size_t width = t.bits().empty() ? 0 : t.bits()[0].size();
            auto* out = new std::vector<uint8_t>();
            for (const std::vector<uint8_t>& row : t.bits()) out->insert(out->end(), row.begin(), row.end());
            nb::capsule owner(out, [](void* p) noexcept { delete static_cast<std::vector<uint8_t>*>(p); });
            return nb::ndarray<nb::numpy, uint8_t>(out->data(), {t.count(), width}, owner);
        })
        .def("add", [](AnyTrajectories& t, const AnyFactor& factor, uint64_t shots, const std::vector<uint8_t>& bits,
                       nb::callable go_on) {
            if (factor.num_qubits() != t.num_qubits() || bits.size() != t.num_clbits() || !same_precision(t, factor))
                throw std::invalid_argument("the factor is not of the same kind");
            run(t, go_on, [&](Poll& poll) { t.add(factor, shots, bits, poll); });
        }, "factor"_a, "shots"_a, "bits"_a, "go_on"_a)
        .def("advance", [](AnyTrajectories& t, const Plan& plan, size_t begin, nb::callable go_on) {
            check_fits(t.num_qubits(), plan);
            run(t, go_on, [&](Poll& poll) { t.advance(plan, begin, poll); });
        }, "plan"_a, "begin"_a, "go_on"_a)
        .def("measure", [](AnyTrajectories& t, int qubit, int clbit, double one_for_zero, double zero_for_one,
                           nb::callable go_on) {
            if (qubit < 0 || qubit >= t.num_qubits() || clbit < 0 || size_t(clbit) >= t.num_clbits())
                throw std::invalid_argument("the qubit or the classical bit is out of range");
            if (!(one_for_zero >= 0 && one_for_zero <= 1 && zero_for_one >= 0 && zero_for_one <= 1))
                throw std::invalid_argument("a chance lies in [0, 1]");
            run(t, go_on, [&](Poll& poll) { t.measure(qubit, clbit, one_for_zero, zero_for_one, poll); });
        }, "qubit"_a, "clbit"_a, "one_for_zero"_a, "zero_for_one"_a, "go_on"_a)
        .def("split", [](AnyTrajectories& t, const std::vector<uint8_t>& which, nb::callable go_on) {
            if (which.size() != t.count()) throw std::invalid_argument("one mark for each column is needed");
            std::unique_ptr<AnyTrajectories> out;
            run(t, go_on, [&](Poll& poll) { out = t.split(which, poll); });
            return out;
        }, "which"_a, "go_on"_a)
        .def("absorb", [](AnyTrajectories& t, const AnyTrajectories& other, nb::callable go_on) {
            if (typeid(t) != typeid(other) || t.num_qubits() != other.num_qubits() ||
                t.num_clbits() != other.num_clbits() || &t == &other)
                throw std::invalid_argument("the trajectories are not of one kind");
            run(t, go_on, [&](Poll& poll) { t.absorb(other, poll); });
        }, "other"_a, "go_on"_a)
        .def("samples", [](AnyTrajectories& t, nb::callable go_on) {
            auto* states = new std::vector<uint64_t>(t.shots());
            nb::capsule states_owner(states, [](void* p) noexcept { delete static_cast<std::vector<uint64_t>*>(p); });
            auto* columns = new std::vector<int64_t>(t.shots());
            nb::capsule columns_owner(columns, [](void* p) noexcept { delete static_cast<std::vector<int64_t>*>(p); });
            run(t, go_on, [&](Poll& poll) { t.samples(states->data(), columns->data(), poll); });
            return std::make_pair(nb::ndarray<nb::numpy, uint64_t>(states->data(), {states->size()}, states_owner),
                                  nb::ndarray<nb::numpy, int64_t>(columns->data(), {columns->size()}, columns_owner));
        }, "go_on"_a);
    m.def("make_trajectories", &make_trajectories, "num_qubits"_a, "num_clbits"_a, "single"_a, "threads"_a, "shots"_a,
          "seed"_a);
}
