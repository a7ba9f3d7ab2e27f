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

#include "factor.h"

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

void check_fits(const AnyFactor& factor, const Plan& plan) {
    for (const Step& step : plan.steps) {
        for (const Gate& gate : step.gates)
            for (int q : gate.qubits)
                if (q >= factor.num_qubits()) throw std::invalid_argument("the plan is for more qubits");
        for (const Channel& channel : step.channels)
            for (int q : channel.qubits)
                if (q >= factor.num_qubits()) throw std::invalid_argument("the plan is for more qubits");
    }
}

void check_qubit(const AnyFactor& factor, int qubit) {
    if (qubit < 0 || qubit >= factor.num_qubits())
        throw std::invalid_argument("qubit " + std::to_string(qubit) + " is out of range");
}

// Runs `work` without Python's lock, asking `go_on(rank, spent)` now and then whether to continue.
template <typename Work>
void run(AnyFactor& factor, nb::callable go_on, Work work) {
    nb::gil_scoped_release released;
    Poll poll([&] {
        nb::gil_scoped_acquire held;
        return nb::cast<bool>(go_on(factor.rank(), factor.budget.spent));
    });
    work(poll);
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
        .def_prop_ro("num_channels", [](const Plan& plan) {
            size_t count = 0;
            for (const Step& step : plan.steps) count += step.channels.size();
            return count;
        });
    m.def("make_plan", &make_plan, "ops"_a.noconvert(), "qubit_offsets"_a.noconvert(), "qubits"_a.noconvert(),
          "param_offsets"_a.noconvert(), "params"_a.noconvert(), "payloads"_a.noconvert(), "matrices"_a,
          "num_qubits"_a, "fresh"_a, "last"_a, "param_refs"_a = nb::none(), "coefficients"_a = nb::none());

    nb::class_<AnyFactor>(m, "Factor")
        .def_prop_ro("rank", &AnyFactor::rank)
        .def_prop_ro("most_columns", &AnyFactor::most_columns)
        .def_prop_ro("num_bytes", &AnyFactor::bytes)
        .def_prop_ro("spent", [](const AnyFactor& f) { return f.budget.spent; })
        .def_prop_ro("rounding", [](const AnyFactor& f) { return f.budget.rounding; })
        .def_prop_ro("done", [](const AnyFactor& f) { return f.budget.done; })
        .def_prop_ro("allowed", [](const AnyFactor& f) { return f.budget.allowed(); })
        .def("charge", [](AnyFactor& f, double dropped) {
            if (!(dropped >= 0)) throw std::invalid_argument("what is dropped has a weight from 0");
            f.budget.spent += dropped;
        }, "dropped"_a)
        .def("limit", [](AnyFactor& f, double memory) {
            if (!(memory >= 0)) throw std::invalid_argument("the memory is not a number of bytes");
            f.limit(memory);
        }, "memory"_a)
        .def("grant", [](AnyFactor& f, double total, double error) {
            if (!(total >= 0 && error >= 0)) throw std::invalid_argument("a budget is a number from 0");
            f.budget.total = total;
            f.budget.error = error;
        }, "total"_a, "error"_a)
        .def("advance", [](AnyFactor& f, const Plan& plan, nb::callable go_on) {
            check_fits(f, plan);
            run(f, go_on, [&](Poll& poll) { f.advance(plan, poll); });
        }, "plan"_a, "go_on"_a)
        .def("compress", [](AnyFactor& f, nb::callable go_on) {
            run(f, go_on, [&](Poll& poll) { f.compress(true, poll); });
        }, "go_on"_a)
        .def("project", [](const AnyFactor& f, int qubit, int outcome) {
            check_qubit(f, qubit);
            nb::gil_scoped_release released;
            return f.project(qubit, outcome);
        }, "qubit"_a, "outcome"_a)
        .def("absorb", [](AnyFactor& f, const AnyFactor& other) {
            if (typeid(f) != typeid(other) || f.num_qubits() != other.num_qubits() || &f == &other)
                throw std::invalid_argument("the factors are not of one kind");
            nb::gil_scoped_release released;
            f.absorb(other);
        }, "other"_a)
        .def("scale_budget", [](AnyFactor& f, double share) {
            if (!(share >= 0 && share <= 1)) throw std::invalid_argument("a share lies in [0, 1]");
            f.budget.total *= share;
            f.budget.spent *= share;
            f.budget.rounding *= share;
        }, "share"_a)
        .def("trace", [](const AnyFactor& f) {
            nb::gil_scoped_release released;
            return f.trace();
        })
        .def("probabilities", [](AnyFactor& f, nb::callable go_on) {
            auto* out = new std::vector<double>(size_t(1) << f.num_qubits());
            auto array = array_of(out, {out->size()});
            run(f, go_on, [&](Poll& poll) { f.probabilities(out->data(), poll); });
            return array;
        }, "go_on"_a)
        .def("pauli", [](AnyFactor& f, uint64_t x, uint64_t z, nb::callable go_on) {
            if ((x | z) >> f.num_qubits()) throw std::invalid_argument("a Pauli string acts beyond the last qubit");
            Complex out;
            run(f, go_on, [&](Poll& poll) { out = f.pauli(x, z, poll); });
            return out;
        }, "x"_a, "z"_a, "go_on"_a)
        .def("reduced", [](AnyFactor& f, const std::vector<int>& qubits, nb::callable go_on) {
            uint64_t seen = 0;
            for (int q : qubits) {
                check_qubit(f, q);
                if (seen >> q & 1) throw std::invalid_argument("qubit " + std::to_string(q) + " is listed twice");
                seen |= uint64_t(1) << q;
            }
            if (qubits.size() > 14) throw std::invalid_argument("a density matrix of more than 14 qubits is not made");
            const size_t size = size_t(1) << qubits.size();
            auto* out = new std::vector<double>(2 * size * size);
            auto array = array_of(out, {size, size, 2});
            run(f, go_on, [&](Poll& poll) { f.reduced(qubits, out->data(), poll); });
            return array;
        }, "qubits"_a, "go_on"_a)
        .def("record", &AnyFactor::record)
        .def("gradient", &gradient, "sums"_a, "num_parameters"_a, "go_on"_a);
    m.def("make_factor", &make_factor, "num_qubits"_a, "single"_a, "threads"_a, "memory"_a);
}
