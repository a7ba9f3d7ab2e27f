"""Checks of running: plans used again, bound and in threads; what a result says of its run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from proxima.contracts.backend import RunContext, Want
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import TIMING_STAGES, RunResult
from proxima.errors import CancelledError
from proxima_sdk import reference
from proxima_sdk.circuits import ghz
from proxima_sdk.conformance import diagnosis
from proxima_sdk.conformance.base import TOLERANCE, BackendChecks
from proxima_sdk.conformance.diagnosis import report, top
from proxima_sdk.conformance.statistics import fit


def _ansatz() -> Circuit:
    """Three qubits with two open angles, one of them used twice and with a coefficient."""
    a, b = Parameter("a"), Parameter("b")
    builder = Circuit.builder(3)
    builder.ry(a, 0).rx(b, 1).cx(0, 2).rz(Parameter("a", -2.0), 2).ry(0.3, 2).cx(1, 2)
    return builder.measure_all().build()


class RunningChecks(BackendChecks):
    """Plans and runs, apart from what they compute."""

    def _values(self) -> list[dict[str, float]]:
        return [{"a": 0.3 + 0.9 * k, "b": 1.2 - 0.5 * k} for k in range(4)]

    def test_plan_can_be_run_again(self) -> None:
        """Two runs of one plan give the same counts."""
        self.require_seeds()
        self.require_available()
        self.require_want("counts")
        backend = self.target.backend
        plan = backend.plan(self.request(ghz(4), "counts", shots=500))
        first, second = (backend.run(plan, self.context()).counts for _ in range(2))
        if first != second:
            report("a plan run twice", expected=top(first or {}), got=top(second or {}))

    def test_bound_plans_equal_a_loop(self) -> None:
        """`bind` over a sweep of angles gives what planning each point anew gives, and the right thing."""
        self.require_exact()
        self.require_available()
        self.require_want("counts")
        backend, ansatz = self.target.backend, _ansatz()
        first = backend.plan(self.request(ansatz.bind(self._values()[0]), "counts", shots=2000))
        for seed, values in enumerate(self._values()):
            circuit = ansatz.bind(values)
            request = self.request(circuit, "counts", shots=2000 + seed, seed=seed)
            bound = backend.run(backend.bind(first, request), self.context()).counts or {}
            found = fit(bound, reference.distribution(circuit))
            if not found.accepted:
                stale = fit(bound, reference.distribution(ansatz.bind(self._values()[0]))).accepted
                expected, got = diagnosis.describe_fit(found)
                report(
                    f"a plan bound to {values}",
                    expected=expected,
                    got=got,
                    causes=["the angles of the first plan are still in it"] if stale else [],
                )
            anew = backend.run(backend.plan(request), self.context()).counts or {}
            if self.offered.seeded and bound != anew:
                report(f"a plan bound to {values}, and one made anew", expected=top(anew), got=top(bound))

    @pytest.mark.parametrize("want", ["counts", "statevector", "expectation"])
    def test_a_batch_equals_a_loop(self, want: Want) -> None:
        """`run_batch` gives each plan what `run` gives it, in the order of the plans; and stops when it is told to."""
        self.require_available()
        self.require_want(want)
        self.require_exact()
        if want == "counts":
            self.require_seeds()
        backend, ansatz = self.target.backend, _ansatz()
        shots = 2000 if want == "counts" else None
        observables = [PauliSum.parse("0.5*ZIZ - XYI")] if want == "expectation" else []
        requests = [
            self.request(ansatz.bind(values), want, shots=shots, seed=seed, observables=observables)
            for seed, values in enumerate(self._values())
        ]
        first = backend.plan(requests[0])
        plans = [backend.bind(first, request) for request in requests[: first.batch]]
        if not plans:
            report("Plan.batch", expected="a whole number from 1", got=first.batch)
        together = backend.run_batch(plans, self.context())
        alone = [backend.run(plan, self.context()) for plan in plans]
        if len(together) != len(plans):
            report(f"a batch of {len(plans)} plans", expected=f"{len(plans)} results", got=len(together))
        for plan, one, other in zip(plans, alone, together, strict=True):
            expected, got = (_outcome(result, want) for result in (one, other))
            same = (
                expected == got if want == "counts" else np.allclose(expected, got, atol=TOLERANCE[self.best_precision])
            )
            if not same or one.seed != other.seed:
                others = [_outcome(result, want) for result in alone if result is not one]
                report(
                    f"{want} of the circuit with seed {plan.request.seed} in a batch of {len(plans)}, and by itself",
                    expected=expected,
                    got=got,
                    causes=["the batch has another's angles, or its results another order"]
                    if any(np.array_equal(got, each) for each in others)
                    else ["the seed, or the generator, is shared by the batch"]
                    if want == "counts"
                    else [],
                )
        context = self.context()
        context.cancel.cancel()
        try:
            backend.run_batch(plans, context)
        except CancelledError:
            return
        report("a batch whose run was cancelled before it began", expected="CancelledError", got="results")

    def test_runs_in_threads_agree_with_runs_in_turn(self) -> None:
        """Two threads, different circuits and seeds at once."""
        self.require_seeds()
        self.require_want("counts")
        requests = [
            self.request(circuit, "counts", shots=500, seed=seed)
            for seed in range(3)
            for circuit in (ghz(3), ghz(4), Circuit.builder(4).h(0).h(2).cx(2, 1).measure_all().build())
        ]
        in_turn = [self.execute(request).counts for request in requests]
        with ThreadPoolExecutor(2) as pool:
            at_once = [result.counts for result in pool.map(self.execute, requests)]
        for request, alone, together in zip(requests, in_turn, at_once, strict=True):
            if alone != together:
                report(
                    f"{request.circuit!r} with seed {request.seed}, run beside another in a second thread",
                    expected=top(alone or {}),
                    got=top(together or {}),
                    causes=["state shared between runs: the engine's object or its random generator"],
                )

    def test_open_parameters_are_refused(self) -> None:
        """A circuit with open parameters is refused, never run with its coefficients as angles."""
        self.require_available()
        request = self.request(_ansatz(), "counts", shots=10)
        try:
            self.target.backend.run(self.target.backend.plan(request), self.context())
        except ValueError:  # UsageError is one
            return
        report(
            "a circuit with the open parameters a and b",
            expected="UsageError that names them",
            got="a result",
            causes=["`Circuit.rows` gives an open parameter's coefficient; the plan takes it for the angle"],
        )

    def test_result_describes_the_run(self) -> None:
        """Backend, seed, versions, timings, error bound."""
        self.require_want("counts")
        result = self.execute(self.request(ghz(3), "counts", shots=400, seed=77))
        backend = self.target.backend.name
        wrong = {
            f"backend == {backend!r}": result.backend == backend,
            "seed == 77": result.seed == 77,
            "method not empty": bool(result.method),
            "versions not empty": bool(result.versions) and all(result.versions.values()),
            f"stages of timings among {TIMING_STAGES}": set(result.timings) <= set(TIMING_STAGES),
            "timings not negative": all(seconds >= 0 for seconds in result.timings.values()),
            "timings has 'execute'": "execute" in result.timings,
            "error_bound of counts is none of rounding alone, with 0 < value < 1": result.error_bound.kind != "exact"
            and 0 < result.error_bound.value < 1,
        }
        broken = [claim for claim, holds in wrong.items() if not holds]
        if broken:
            report("a result's description of its run", expected="; ".join(broken), got=_header(result))

    def test_progress_is_a_fraction(self) -> None:
        """Progress, where it is told, lies in [0, 1] and never goes back."""
        self.require_want("counts")
        told: list[float | None] = []
        context = RunContext(progress=lambda fraction, message: told.append(fraction))
        self.execute(self.request(ghz(4), "counts", shots=1000), context)
        fractions = [fraction for fraction in told if fraction is not None]
        if fractions != sorted(fractions) or any(not 0 <= fraction <= 1 for fraction in fractions):
            report("progress", expected="fractions in [0, 1], rising", got=fractions[:20])


def _outcome(result: RunResult, want: Want) -> Any:
    return [e.value for e in result.expectations] if want == "expectation" else getattr(result, want)


def _header(result: object) -> Mapping[str, object]:
    fields = ("backend", "method", "seed", "error_bound", "timings", "versions")
    return {field: getattr(result, field) for field in fields}
