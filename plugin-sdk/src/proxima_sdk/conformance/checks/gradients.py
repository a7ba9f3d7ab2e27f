"""Checks of gradients: derivatives of expectation values by the circuit's open parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from proxima.contracts.backend import Precision, RunRequest
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import GATES, OPERATIONS, Op
from proxima.contracts.result import Gradient
from proxima.errors import UnsupportedError
from proxima_sdk import reference
from proxima_sdk.conformance.base import TOLERANCE, BackendChecks
from proxima_sdk.conformance.diagnosis import report

_OBSERVABLES = (PauliSum.parse("0.5*ZZI - XIX + 0.25*IYZ"), PauliSum.parse("IIZ"))
_ANGLED = [op for op in sorted(GATES) if OPERATIONS[op].params]
_WHAT = "the derivative by the parameter, in the order of Circuit.parameters"


def _ansatz() -> Circuit:
    """Three qubits; ``a`` occurs twice, once with a coefficient, and the parameters are not in alphabetical order."""
    b = Circuit.builder(3).h(0).h(1).ry(0.4, 2)
    b.ry(Parameter("b"), 0).rx(Parameter("a"), 1).cx(0, 2).rz(Parameter("a", -2.0), 2).ry(Parameter("c", 0.5), 2)
    return b.cx(1, 2).rx(0.3, 2).measure_all().build()


def _point(circuit: Circuit) -> dict[str, float]:
    return {name: 0.35 + 0.45 * number for number, name in enumerate(circuit.parameters)}


class GradientChecks(BackendChecks):
    """Gradients by whatever method; the reference differentiates numerically."""

    def _gradient_request(
        self,
        circuit: Circuit,
        values: Mapping[str, float],
        observables: Sequence[PauliSum] = _OBSERVABLES,
        precision: Precision | None = None,
    ) -> RunRequest:
        made = self.request(circuit, "gradient", shots=None, observables=observables, precision=precision)
        return replace(made, parameters=values)

    def _check_gradients(
        self,
        what: str,
        circuit: Circuit,
        values: Mapping[str, float],
        found: Sequence[Gradient],
        observables: Sequence[PauliSum],
        precision: str,
    ) -> None:
        if [g.observable for g in found] != [str(o) for o in observables]:
            report(f"{what}: gradients", expected=[str(o) for o in observables], got=[g.observable for g in found])
        for observable, got in zip(observables, found, strict=True):
            exact = reference.gradient(circuit, values, observable)
            described = (got.parameters, got.values.dtype, got.values.shape, bool(got.method))
            if described != (circuit.parameters, np.dtype(np.float64), exact.shape, True):
                report(
                    f"{what}: a gradient's form",
                    expected=f"{circuit.parameters}, float64 of shape {exact.shape}, and a method",
                    got=f"{got.parameters}, {got.values.dtype} of shape {got.values.shape}, method {got.method!r}",
                    convention=_WHAT,
                )
            self.require_exact()
            errors = 0.0 if got.standard_errors is None else got.standard_errors
            if not (np.abs(got.values - exact) <= 50 * TOLERANCE[precision] + 6 * errors).all():
                report(
                    f"{what}: gradient of {observable}",
                    expected=np.array2string(exact, precision=10),
                    got=np.array2string(got.values, precision=10),
                    convention=_WHAT,
                    causes=_causes(circuit, values, observable, got.values),
                )

    @pytest.mark.parametrize("precision", get_args(Precision))
    def test_gradient(self, precision: Precision) -> None:
        """Several observables, an angle used twice, coefficients, and the order of the parameters."""
        self.require_want("gradient")
        self.require_precision(precision)
        circuit, values = _ansatz(), _point(_ansatz())
        result = self.execute(self._gradient_request(circuit, values, precision=precision))
        self._check_gradients(f"in {precision} precision", circuit, values, result.gradients, _OBSERVABLES, precision)

    @pytest.mark.parametrize("op", _ANGLED, ids=lambda op: op.name.lower())
    def test_gradient_by_every_angle(self, op: Op) -> None:
        """Each angle of the gate open, on qubits that are in superposition and in unusual order."""
        self.require_want("gradient")
        self.require_operations(op)
        spec = OPERATIONS[op]
        builder = Circuit.builder(3).h(0).ry(0.7, 1).ry(1.1, 2)
        builder.append(op, (2, 0)[: spec.num_qubits], [Parameter(name) for name in spec.params])
        circuit = builder.h(2).ry(0.3, 0).build()
        values = _point(circuit)
        result = self.execute(self._gradient_request(circuit, values))
        self._check_gradients(spec.name, circuit, values, result.gradients, _OBSERVABLES, self.best_precision)

    def test_gradient_beside_other_wants(self) -> None:
        """Whatever else is wanted is of the circuit with the parameters' values."""
        self.require_want("gradient", "expectation")
        circuit, values = _ansatz(), _point(_ansatz())
        request = replace(self._gradient_request(circuit, values), wants=("expectation", "gradient"))
        result = self.execute(request)
        self._check_gradients(
            "beside expectation", circuit, values, result.gradients, _OBSERVABLES, self.best_precision
        )
        exact = [reference.expectation(circuit.bind(values), o)[0] for o in _OBSERVABLES]
        got = [e.value for e in result.expectations]
        if not np.allclose(got, exact, rtol=0, atol=50 * TOLERANCE[self.best_precision]):
            report("expectation values beside a gradient", expected=exact, got=got)

    def test_gradient_follows_a_bind(self) -> None:
        """A plan bound to other values gives the gradient there."""
        self.require_want("gradient")
        self.require_available()
        circuit = _ansatz()
        backend = self.target.backend
        plan = backend.plan(self._gradient_request(circuit, _point(circuit)))
        values = {name: -0.8 + 0.3 * number for number, name in enumerate(circuit.parameters)}
        result = backend.run(backend.bind(plan, self._gradient_request(circuit, values)), self.context())
        self._check_gradients("a bound plan", circuit, values, result.gradients, _OBSERVABLES, self.best_precision)

    def test_gradient_under_noise_is_right_or_refused(self) -> None:
        """A method for pure states alone refuses a noisy circuit; it does not leave the noise out."""
        self.require_want("gradient")
        self.require_available()
        self.require_noise()
        circuit = Circuit.builder(3).ry(Parameter("a"), 0).bit_flip(0.2, 0).cx(0, 2).ry(Parameter("b"), 2).build()
        values = _point(circuit)
        request = replace(self._gradient_request(circuit, values), shots=4000)
        try:
            result = self.target.backend.run(self.target.backend.plan(request), self.context())
        except UnsupportedError:
            return
        self._check_gradients("under noise", circuit, values, result.gradients, _OBSERVABLES, self.best_precision)

    @pytest.mark.parametrize(
        "values", [{"b": 0.1}, {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}], ids=["missing", "unknown"]
    )
    def test_gradient_needs_a_value_for_each_parameter(self, values: Mapping[str, float]) -> None:
        """A parameter without a value, or a value without a parameter, is refused."""
        self.require_want("gradient")
        self.require_available()
        try:
            self.target.backend.plan(self._gradient_request(_ansatz(), values))
        except ValueError:  # UsageError is one
            return
        report("a gradient at values of other parameters", expected="UsageError that names them", got="a plan")


def _causes(circuit: Circuit, values: Mapping[str, float], observable: PauliSum, got: np.ndarray) -> list[str]:
    """Usual mistakes whose result is the one found."""
    exact = reference.gradient(circuit, values, observable)
    c = circuit.columns
    shares = np.bincount(c.param_refs[c.param_refs >= 0], minlength=len(exact))
    suspects = {
        "the sign is wrong": -exact,
        "twice the derivative": 2 * exact,
        "half the derivative": exact / 2,
        "the parameters are sorted by name": exact[np.argsort(circuit.parameters)],
    }
    found = [text for text, wrong in suspects.items() if np.allclose(got, wrong, atol=1e-4, rtol=0)]
    if not found and ((shares > 1).any() or (c.params[c.param_refs >= 0] != 1).any()):
        found = ["the chain rule: a coefficient is left out, or one occurrence of a parameter that has several"]
    return found
