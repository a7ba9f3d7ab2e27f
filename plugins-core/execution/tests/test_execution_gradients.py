"""Gradients by the parameter-shift rule, and through whatever backend is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.execution import RunOptions
from proxima.contracts.features import features_of
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.contracts.records import ResultStore
from proxima.errors import UnavailableError, UsageError
from proxima_execution.parameter_shift import ParameterShift
from proxima_sdk import reference

# Two electrons in four spin orbitals, as the molecule H2 has them: the coefficients' sizes are those of chemistry.
H2 = PauliSum.parse(
    "-0.81 * IIII + 0.17 * IIIZ - 0.22 * IIZI + 0.17 * IZII - 0.22 * ZIII + 0.12 * IIZZ + 0.17 * IZIZ "
    "+ 0.045 * XXYY - 0.045 * XYYX + 0.166 * IZZI + 0.174 * ZIZI + 0.12 * ZZII"
)


def h2_ansatz() -> Circuit:
    """A double excitation as its ladder of CNOTs around one angle, and two single ones that share an angle."""
    b = Circuit.builder(4, name="h2").x(0).x(1).rx(math.pi / 2, 0).h(1).h(2).h(3)
    b.cx(0, 1).cx(1, 2).cx(2, 3).rz(Parameter("double"), 3).cx(2, 3).cx(1, 2).cx(0, 1).rx(-math.pi / 2, 0).h(1).h(2).h(
        3
    )
    b.cx(2, 0).cry(Parameter("single", 2.0), 0, 2).cx(2, 0).cx(3, 1).cry(Parameter("single", 2.0), 1, 3).cx(3, 1)
    return b.build()


def central_differences(circuit: Circuit, values: Mapping[str, float], observable: PauliSum) -> np.ndarray:
    """Over a step of 1e-5: the error, a sixth of its square times the third derivative, is below 1e-9."""
    found = []
    for name in circuit.parameters:
        ends = [circuit.bind({**values, name: values[name] + d}) for d in (1e-5, -1e-5)]
        high, low = (reference.expectation(c, observable)[0] for c in ends)
        found.append((high - low) / 2e-5)
    return np.array(found)


def test_the_gradient_of_an_h2_like_circuit_is_that_of_finite_differences(execution):
    values = {"double": -0.226, "single": 0.13}
    options = RunOptions(backend="exact", wants=("gradient",), observables=(H2,), parameters=values)
    result = execution.run(h2_ansatz(), options)
    (gradient,) = result.gradients
    assert (gradient.observable, gradient.parameters) == (str(H2), ("double", "single"))
    assert (gradient.method, gradient.standard_errors) == ("parameter_shift", None)
    assert gradient.values == pytest.approx(central_differences(h2_ansatz(), values, H2), abs=1e-6)
    assert np.abs(gradient.values).min() > 1e-3  # a gradient of nothing would agree with anything
    assert result.expectations == ()
    assert result.selection.candidates[0].reason.endswith("gradient by parameter shift, 11 runs")


@pytest.mark.parametrize("op", [op for op in sorted(GATES) if OPERATIONS[op].params], ids=lambda op: op.name.lower())
def test_the_rule_of_every_angle(op: Op, kernel):
    spec = OPERATIONS[op]
    builder = Circuit.builder(2).h(0).ry(0.7, 1).t(0)
    builder.append(op, (1, 0)[: spec.num_qubits], [Parameter(name, 0.8) for name in spec.params])
    circuit = builder.rx(0.4, 0).h(1).build()
    values = {name: 0.9 + 0.2 * i for i, name in enumerate(spec.params)}
    observable = PauliSum.parse("ZI + 0.5 * XZ - 0.3 * YX")
    request = RunRequest(
        circuit=circuit,
        shots=None,
        precision="double",
        wants=("gradient",),
        observables=(observable,),
        parameters=values,
    )
    backend = ParameterShift(kernel.get("backends", "exact"))
    found = backend.run(backend.plan(request), RunContext()).gradients[0].values
    assert found == pytest.approx(reference.gradient(circuit, values, observable), abs=1e-10)  # the rules are exact


def test_noise_and_conditions_are_differentiated_too(execution):
    b = Circuit.builder(2, 1).ry(Parameter("a"), 0).measure(0, 0)
    circuit = b.rx(Parameter("b"), 1, condition=Condition((0,), 1)).build()
    values = {"a": 0.4, "b": 1.1}
    options = RunOptions(
        backend="exact",
        wants=("gradient",),
        observables=(PauliSum.parse("ZI"),),
        parameters=values,
        noise=NoiseModel.parse("depolarizing:0.05"),
    )
    noisy = NoiseModel.parse("depolarizing:0.05").apply(circuit)
    expected = central_differences(noisy, values, PauliSum.parse("ZI"))
    assert execution.run(circuit, options).gradients[0].values == pytest.approx(expected, abs=1e-8)


def test_a_gradient_beside_counts_and_expectation_values(execution):
    circuit = Circuit.builder(1, 1).ry(Parameter("t"), 0).measure(0, 0).build()
    options = RunOptions.parse(
        backend="exact", want=["counts", "expectation:Z", "gradient:Z"], shots=100, parameters={"t": 0.3}
    )
    assert len(options.observables) == 1
    result = execution.run(circuit, options)
    assert sum(result.counts.values()) == 100
    assert result.expectations[0].value == pytest.approx(math.cos(0.3))
    assert result.gradients[0].values == pytest.approx([-math.sin(0.3)])


def test_a_sweep_of_gradients_binds(execution):
    circuit = Circuit.builder(1).ry(Parameter("t"), 0).build()
    options = RunOptions.parse(backend="exact", want="gradient:Z", store=False)
    angles = [0.1, 0.7, 2.0]
    found = swept(execution, circuit, [{"t": angle} for angle in angles], options)
    assert [r.gradients[0].values[0] for r in found] == pytest.approx([-math.sin(angle) for angle in angles])


def test_is_stored_and_read_back(execution, kernel):
    options = RunOptions.parse(backend="exact", want="gradient:ZIII", parameters={"double": 0.1, "single": 0.2})
    result = execution.run(h2_ansatz(), options)
    record = kernel.services.require(ResultStore).get(result.id)
    assert record.options == options
    assert record.circuit.parameters == ("double", "single")
    kept, (made,) = record.result.gradients[0], result.gradients
    assert (kept.observable, kept.parameters, kept.method) == (made.observable, made.parameters, made.method)
    assert kept.values.tolist() == made.values.tolist()


def test_says_what_is_missing(execution):
    circuit = Circuit.builder(1).ry(Parameter("t"), 0).build()
    with pytest.raises(UsageError, match="no open parameters"):
        execution.run(Circuit.builder(1).ry(0.1, 0).build(), RunOptions.parse(want="gradient:Z"))
    with pytest.raises(UsageError, match="no value for t"):
        execution.run(circuit, RunOptions.parse(want="gradient:Z"))
    with pytest.raises(UsageError, match="of no observable"):
        execution.run(circuit, RunOptions(wants=("gradient",), parameters={"t": 0.1}))


def test_a_channel_with_an_open_probability_has_no_rule(execution, kernel):
    circuit = Circuit.builder(1).x(0).append(Op.BIT_FLIP, (0,), (Parameter("p"),)).build()
    options = RunOptions.parse(backend="exact", want="gradient:Z", parameters={"p": 0.1})
    with pytest.raises(UnavailableError, match="no parameter-shift rule for p of bit_flip"):
        execution.run(circuit, options)
    request = RunRequest(circuit=circuit, wants=("gradient",), parameters={"p": 0.1})
    shifted = ParameterShift(kernel.get("backends", "exact"))
    assert not shifted.estimate(request, features_of(circuit)).feasible


def swept(execution, circuit, points, options):
    found = dict(execution.sweep([circuit], points, options))
    return [found[number] for number in range(len(points))]
