"""Checks of state results: statevector, density matrix, probabilities, expectation values."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from proxima.contracts.backend import Precision, Want
from proxima.contracts.circuit import Circuit
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import GATES
from proxima.errors import UnsupportedError
from proxima_sdk import reference
from proxima_sdk.circuits import random
from proxima_sdk.conformance import diagnosis
from proxima_sdk.conformance.base import DTYPE, TOLERANCE, BackendChecks
from proxima_sdk.conformance.diagnosis import report

_ARRAYS: tuple[Want, ...] = ("statevector", "density_matrix", "probabilities")
_OBSERVABLES = ("ZIII", "IIIZ", "0.5*ZZIX - 1.5*YIXI + XYZI", "IIII", "2*XXXX + 0.25*IZIY")


class StateChecks(BackendChecks):
    """Exact results, in canonical order and in the precision asked for."""

    def _circuit(self, seed: int = 21, *, measure: bool = True) -> Circuit:
        usable = [op for op in GATES if self.offered.supports(op)]
        return random(4, 6, seed=seed, operations=usable, measure=measure)

    @pytest.mark.parametrize("precision", get_args(Precision))
    @pytest.mark.parametrize("want", _ARRAYS)
    def test_array(self, want: Want, precision: Precision) -> None:
        """Shape, dtype, order, values and norm; the state is the one before the final measurements."""
        self.require_want(want)
        self.require_precision(precision)
        self.require_exact()
        circuit = self._circuit()
        result = self.execute(self.request(circuit, want, precision=precision))
        got = getattr(result, want)
        dtype = np.dtype(np.float64 if want == "probabilities" else DTYPE[precision])
        if got is None or got.dtype != dtype or result.precision != precision:
            report(
                f"{want} in {precision} precision",
                expected=f"an array of {dtype}, and RunResult.precision == {precision!r}",
                got=f"{None if got is None else got.dtype}, and RunResult.precision == {result.precision!r}",
                convention="the precision asked for is used exactly where the backend declares it",
                causes=[f"computed in {result.precision} precision whatever was asked"]
                if got is not None and got.dtype != dtype
                else [],
            )
        expected = getattr(reference, want)(circuit)
        difference = diagnosis.distance(got, expected)
        if not difference <= TOLERANCE[precision]:
            suspects = ((text, getattr(reference, want)(make())) for text, make in diagnosis.usual_causes(circuit))
            wanted, came = diagnosis.worst_element(got, expected) if got.shape == expected.shape else ("", got.shape)
            report(
                f"{want} in {precision} precision differs by {difference:.2e} (tolerance {TOLERANCE[precision]:.0e})",
                expected=wanted or expected.shape,
                got=came,
                convention=diagnosis.ORDER,
                causes=diagnosis.state_causes(got, expected, precision, suspects),
            )

    def test_expectation_values(self) -> None:
        """Value and, where given, variance, within rounding or within six standard errors."""
        self.require_want("expectation")
        self.require_exact()
        circuit = self._circuit(22)
        observables = [PauliSum.parse(text) for text in _OBSERVABLES]
        result = self.execute(self.request(circuit, "expectation", shots=4000, observables=observables))
        if len(result.expectations) != len(observables):
            report("expectation values", expected=f"{len(observables)} of them", got=len(result.expectations))
        for observable, got in zip(observables, result.expectations, strict=True):
            mean, variance = reference.expectation(circuit, observable)
            reverse = PauliSum(tuple((c, letters[::-1]) for c, letters in observable.terms))
            rounding = 50 * TOLERANCE[self.best_precision]
            if abs(got.value - mean) > 6 * got.standard_error + rounding:
                mirror = reference.expectation(circuit, reverse)[0]
                mirrored = abs(got.value - mirror) < 6 * got.standard_error + rounding
                report(
                    f"expectation value of {observable}",
                    expected=f"{mean:.10g}",
                    got=f"{got.value:.10g} with standard error {got.standard_error:.2g}",
                    convention="the leftmost letter of a Pauli string acts on the highest qubit",
                    causes=["the Pauli string is read from the lowest qubit on"] if mirrored else [],
                )
            if got.variance is not None and abs(got.variance - variance) > 60 * got.standard_error + rounding:
                report(
                    f"variance of {observable}",
                    expected=f"{variance:.10g}",
                    got=f"{got.variance:.10g}",
                    convention="<O^2> - <O>^2 of the observable in the state, not of its estimator",
                )

    def test_several_wants_in_one_run(self) -> None:
        """Everything declared at once; each part is there and describes the same state."""
        wants: list[Want] = [w for w in (*_ARRAYS, "counts", "samples") if w in self.offered.wants]
        if len(wants) < 2:
            self.skip("declares a single want (capabilities.wants)")
        circuit = self._circuit(23)
        result = self.execute(self.request(circuit, *wants, shots=300))
        missing = [want for want in wants if getattr(result, want) is None]
        if missing:
            report(f"a run with wants {wants}", expected="all of them", got=f"no {', '.join(missing)}")
        self.require_exact()
        for want in (w for w in wants if w in _ARRAYS):
            difference = diagnosis.distance(getattr(result, want), getattr(reference, want)(circuit))
            if not difference <= TOLERANCE[self.best_precision]:
                report(
                    f"{want} of a run with wants {wants}",
                    expected="the state before the final measurements",
                    got=f"another one: an element differs by {difference:.2e}",
                    causes=["sampling collapsed the state before it was read"],
                )

    def test_nothing_unasked_is_returned(self) -> None:
        """Only the wanted parts are there: a statevector of many qubits is no small gift."""
        self.require_want("counts")
        result = self.execute(self.request(self._circuit(24), "counts", shots=10))
        extra = [want for want in (*_ARRAYS, "samples") if getattr(result, want) is not None]
        if extra:
            report("a run that wants counts alone", expected="counts alone", got=f"also {', '.join(extra)}")

    @pytest.mark.parametrize("what", ["noise", "dynamic"])
    def test_statevector_of_a_mixed_state_is_refused(self, what: str) -> None:
        """A noisy or dynamic circuit has no single statevector."""
        self.require_available()
        self.require_want("statevector")
        if what == "noise":
            self.require_noise()
            circuit = Circuit.builder(1).bit_flip(0.3, 0).build()
        else:
            self.require_dynamic()
            circuit = Circuit.builder(1).h(0).reset(0).build()
        request = self.request(circuit, "statevector")
        try:
            result = self.target.backend.run(self.target.backend.plan(request), self.context())
        except UnsupportedError:
            return
        report(
            f"statevector of a circuit with {'noise' if what == 'noise' else 'a reset'}",
            expected="UnsupportedError that points to density_matrix",
            got=f"statevector {result.statevector}",
            causes=["one random trajectory is given as the state"],
        )
