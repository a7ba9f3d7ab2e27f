"""Checks of stopping: cancel and deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import pytest

from proxima.contracts.backend import CancelToken, Plan, RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.features import features_of
from proxima.contracts.operations import GATES, Op
from proxima.errors import CancelledError, DeadlineExceededError
from proxima_sdk.circuits import random
from proxima_sdk.conformance.base import BackendChecks
from proxima_sdk.conformance.diagnosis import CANCEL_IGNORED, report

Kind = Literal["gates", "shots", "trajectories"]


@dataclass(frozen=True, slots=True)
class Stop:
    """How a run ended: after how many seconds, and whether it computed to its end."""

    seconds: float
    to_the_end: bool


_STOP_AFTER = 0.4
_GRACE = 1.0
_WHOLE_RUN = 4.0
_MOST_SHOTS = 4_000_000
_MOST_LAYERS = 20_000
_MOST_LATE = 2  # times that the machine may be to blame; who does not look is late each time


class StoppingChecks(BackendChecks):
    """Long runs stop when they are told to, and leave nothing running behind them."""

    @pytest.mark.parametrize("kind", ["gates", "shots", "trajectories"])
    def test_cancel(self, kind: Kind) -> None:
        """A long run stops within a second of its token being set from another thread, and computes no further."""

        def attempt(plan: Plan) -> Stop:
            token = CancelToken()
            timer = threading.Timer(_STOP_AFTER, token.cancel)
            timer.start()
            try:
                return self._stopped(plan, RunContext(cancel=token), CancelledError)
            finally:
                timer.cancel()

        self._expect_stop(kind, attempt, CancelledError)

    @pytest.mark.parametrize("kind", ["gates", "trajectories"])
    def test_deadline(self, kind: Kind) -> None:
        """A long run stops within a second of its deadline."""

        def attempt(plan: Plan) -> Stop:
            context = RunContext(deadline=time.monotonic() + _STOP_AFTER)
            return self._stopped(plan, context, DeadlineExceededError)

        self._expect_stop(kind, attempt, DeadlineExceededError)

    def _stopped(self, plan: Plan, context: RunContext, error: type[Exception]) -> Stop:
        start = time.monotonic()
        try:
            self.target.backend.run(plan, context)
        except error:
            return Stop(time.monotonic() - start, to_the_end=False)
        return Stop(time.monotonic() - start, to_the_end=True)

    def _expect_stop(self, kind: Kind, attempt: Callable[[Plan], Stop], error: type[Exception]) -> None:
        """Tries a longer run where one ends too soon, and again where one stops late, as it may on a busy machine."""
        what = f"a run of many {kind}"
        scale, late = 1, 0
        for _ in range(3 + _MOST_LATE):
            stop = attempt(self._long_plan(kind, scale))
            # From when it should have been told, not when it was: an engine may keep the other thread from running.
            if stop.seconds > _STOP_AFTER + _GRACE:
                late += 1
                if stop.to_the_end or late > _MOST_LATE:
                    ended = "its end" if stop.to_the_end else error.__name__
                    slow = "the pieces between two calls of context.check() take too long"
                    report(
                        f"{what}, told to stop after {_STOP_AFTER:g} s",
                        expected=f"{error.__name__} within {_GRACE:g} s",
                        got=f"{ended} {stop.seconds - _STOP_AFTER:.2f} s later",
                        convention="context.check() is called at least every half second",
                        causes=[CANCEL_IGNORED if stop.to_the_end else slow],
                    )
            elif stop.to_the_end:
                scale *= 5
            else:
                self._expect_idle(what)
                return
        self.skip(f"finishes {what} before it can be stopped")

    def _expect_idle(self, what: str) -> None:
        before = time.process_time()
        time.sleep(0.3)
        burnt = time.process_time() - before
        if burnt > 0.15:
            report(
                f"the process after {what} was stopped",
                expected="no CPU time beyond 0.15 s in 0.3 s",
                got=f"{burnt:.2f} s",
                causes=["the engine goes on in a background thread"],
            )

    def _long_plan(self, kind: Kind, scale: int) -> Plan:
        """A plan of some four seconds times ``scale``, sized by what the backend takes for smaller ones."""
        self.require_available()
        self.require_want("counts")
        if kind == "gates":
            return self._many_gates(_WHOLE_RUN * scale)
        if kind == "shots":
            self.require_dynamic()
            return self._many_shots([_feedback(6)], _WHOLE_RUN * scale)
        self.require_noise()
        widths = sorted({self.at_most(n) for n in (6, 10, 14)})
        return self._many_shots([_damped(n) for n in widths], _WHOLE_RUN * scale)

    def _timed(self, request: RunRequest) -> float:
        """Seconds that a request takes, or how long it went on where that is more than is needed to be stopped."""
        plan = self.target.backend.plan(request)
        start = time.monotonic()
        with suppress(DeadlineExceededError):
            self.target.backend.run(plan, RunContext(deadline=start + 2 * _WHOLE_RUN))
        return time.monotonic() - start

    def _deep(self, num_qubits: int, depth: int) -> RunRequest:
        usable = [op for op in GATES if self.offered.supports(op) and op is not Op.UNITARY]
        return self.request(random(num_qubits, depth, operations=usable), "counts", shots=10)

    def _many_gates(self, seconds: float) -> Plan:
        width, layers, took = 0, 4, 0.0
        for width in sorted({self.at_most(n) for n in (8, 12, 16, 18, 20)}):
            took = self._timed(self._deep(width, layers))
            if took > 0.15:
                break
        # Again on a longer sample, because a short run pays for more than its gates.
        sample = min(max(int(layers * seconds / max(took, 1e-3) / 8), layers), 2500)
        took = self._timed(self._deep(width, sample))
        if took / sample * _MOST_LAYERS < _STOP_AFTER:
            self.skip(f"finishes {_MOST_LAYERS:,} layers of gates before it can be stopped")
        layers = min(max(int(sample * seconds / max(took, 1e-3)), 1), _MOST_LAYERS)
        return self.target.backend.plan(self._deep(width, layers))

    def _many_shots(self, circuits: Sequence[Circuit], seconds: float) -> Plan:
        """The first circuit that this backend takes long enough for, with so many shots."""
        told = "refuses them all"
        for circuit in circuits:
            request = self.request(circuit, "counts", shots=50)
            if not self.target.backend.estimate(request, features_of(request.circuit)).feasible:
                continue
            shots, took = 50, self._timed(request)
            while took < seconds / 10 and shots < _MOST_SHOTS:
                shots = min(int(shots * min(max(seconds / 5 / max(took, 1e-3), 2.0), 30.0)), _MOST_SHOTS)
                took = self._timed(self.request(circuit, "counts", shots=shots))
            needed = int(shots * max(seconds / took, 1.0))
            if needed <= _MOST_SHOTS or took >= seconds / 2:
                return self.target.backend.plan(self.request(circuit, "counts", shots=min(needed, _MOST_SHOTS)))
            told = f"takes {took:.2f} s for {shots} shots of {circuit!r}"
        pytest.skip(f"{self.target.backend.name} {told}: nothing to stop")


def _feedback(rounds: int) -> Circuit:
    """Measurement, feedback and reset, over and over: nothing can be sampled at once at its end."""
    builder = Circuit.builder(4, 4)
    for _ in range(rounds):
        for qubit in range(4):
            builder.h(qubit).measure(qubit, qubit)
            builder.append(Op.X, ((qubit + 1) % 4,), condition=Condition((qubit,), 1)).reset(qubit)
    return builder.build()


def _damped(num_qubits: int) -> Circuit:
    """Layers of entangling gates with amplitude damping, which is no mixture of unitaries, on every qubit."""
    builder = Circuit.builder(num_qubits)
    for _ in range(3):
        for qubit in range(num_qubits):
            builder.h(qubit).append(Op.AMPLITUDE_DAMPING, (qubit,), (0.1,))
        for qubit in range(num_qubits - 1):
            builder.cx(qubit, qubit + 1)
    return builder.measure_all().build()
