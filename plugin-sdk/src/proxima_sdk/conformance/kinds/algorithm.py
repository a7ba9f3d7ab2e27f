"""`AlgorithmConformance`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

import pytest

from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit, Parameter
from proxima.errors import CancelledError, UsageError
from proxima.sandbox.proxies.proxy import Proxy
from proxima_sdk.conformance.contribution import ContributionChecks

_STOP_SECONDS = 5.0
_HEARD_SECONDS = 1.0  # within which a worker has heard of it


def ansatz() -> Circuit:
    """Two qubits with one open angle ``theta``: cos(theta/2)|00> + sin(theta/2)|11>."""
    return Circuit.builder(2, name="ansatz").ry(Parameter("theta"), 0).cx(0, 1).build()


class AlgorithmConformance(ContributionChecks):
    """Subclass it in a test module, name your algorithm, run pytest.

    Attributes:
        algorithm: An algorithm's name among the installed plugins, or an instance, class or factory of one.
        circuit: What it is run on; by default two qubits with one open angle.
        params: To run it with, so that it takes little time.
        expected: The value that it must find, within ``tolerance``; ``None`` to leave that unchecked.
    """

    kind = "algorithms"
    algorithm: ClassVar[Any] = None
    circuit: ClassVar[Circuit | None] = None
    params: ClassVar[Mapping[str, Any]] = {}
    expected: ClassVar[float | None] = None
    tolerance: ClassVar[float] = 1e-6

    def _execute(
        self, more: Mapping[str, Any] | None = None, *, cancel: CancelToken | None = None, progress: Any = None
    ) -> AlgorithmResult:
        result: AlgorithmResult = self.subject.execute(
            self.circuit or ansatz(),
            {**self.params, **(more or {})},
            cancel=cancel or CancelToken(),
            progress=progress or (lambda fraction, message: None),
        )
        return result

    def test_default_params(self) -> None:
        """Names with values that can be shown and stored; the caller may change what it gets."""
        ask = self.subject.default_params
        defaults = self.asked("default_params()", ask)
        self.crosses("default_params()", defaults, Mapping[str, Any])
        kept = dict(defaults)
        if isinstance(defaults, dict):
            defaults["added by a caller"] = 1
        if dict(self.asked("default_params()", ask)) != kept:
            self.fails(
                "default_params() after a caller changed what it got",
                expected=kept,
                got=dict(ask()),
                cause="it gives out its own mapping; give a copy",
            )
        unknown = sorted(set(self.params) - set(kept))
        if unknown:
            self.fails(
                "the params that it is tested with",
                expected=f"names among {sorted(kept)}",
                got=unknown,
                convention="default_params() names every parameter there is",
            )

    def test_execute(self) -> None:
        """An `AlgorithmResult` with a number, and the right one where it is known."""
        result = self.asked("execute()", self._execute)
        self.crosses("the result of execute()", result, AlgorithmResult)
        if self.expected is not None and not abs(result.value - self.expected) <= self.tolerance:
            last = ", ".join(f"{value:.6g}" for value in result.history[-3:])
            self.fails(
                "the value of execute()",
                expected=f"{self.expected:.10g} within {self.tolerance:.0e}",
                got=f"{result.value:.10g}" + (f"; the last of its history: {last}" if last else ""),
                cause="it stopped before it converged, or a sign or factor of the observable is wrong",
            )

    def test_unknown_parameter_is_refused(self) -> None:
        """`UsageError` that names it."""
        self.refused(
            "execute() with a parameter that it does not have",
            lambda: self._execute({"no_such_parameter": 1}),
            (UsageError,),
            naming="no_such_parameter",
            cause="parameters are read with get(); begin with self.parameters(params)",
        )

    def test_wrong_type_is_refused(self) -> None:
        """A word where a number belongs: `UsageError` that names the parameter."""
        numbers = [n for n, v in self.subject.default_params().items() if isinstance(v, int | float)]
        if not numbers:
            pytest.skip(f"{self.about()[1]} has no parameter that is a number")
        self.refused(
            f"execute() with {numbers[0]} = 'many'",
            lambda: self._execute({numbers[0]: "many"}),
            (UsageError,),
            naming=numbers[0],
            cause="values are used as they come; begin with self.parameters(params)",
        )

    def test_params_are_left_as_they_were(self) -> None:
        """The mapping belongs to the caller."""
        self.unchanged(
            "execute()",
            dict(self.params),
            lambda params: self.asked(
                "execute()",
                lambda: self.subject.execute(
                    self.circuit or ansatz(), params, cancel=CancelToken(), progress=lambda fraction, message: None
                ),
            ),
        )

    def test_progress(self) -> None:
        """Fractions from 0 to 1 that do not fall, or ``None``, each with a message."""
        told: list[tuple[Any, Any]] = []
        self.asked(
            "execute()", lambda: self._execute(progress=lambda fraction, message: told.append((fraction, message)))
        )
        last = 0.0
        for fraction, message in told:
            if not isinstance(message, str):
                self.fails("progress", expected="a message as text", got=repr(message))
            if fraction is None:
                continue
            if not isinstance(fraction, int | float) or not last <= fraction <= 1:
                self.fails(
                    "progress",
                    expected=f"a fraction from {last:g} to 1, or None",
                    got=repr(fraction),
                    cause="a percentage or a count is told in place of a fraction",
                )
            last = float(fraction)

    def test_cancel(self) -> None:
        """Cancelled before the start: `CancelledError` within seconds."""
        token = CancelToken()
        token.cancel()
        self._expect_stop("execute() with a token that is set", token, [time.monotonic()])

    def test_cancel_while_it_runs(self) -> None:
        """Cancelled at the first progress: `CancelledError` within seconds."""
        token = CancelToken()
        told: list[float] = []

        def progress(fraction: float | None, message: str) -> None:
            if told or fraction is None or fraction < 1:
                told.append(time.monotonic())
                token.cancel()

        self._expect_stop("execute() with a token that is set at its first progress", token, told, progress)

    def _expect_stop(self, what: str, token: CancelToken, told: list[float], progress: Any = None) -> None:
        """Runs it; ``told`` holds when the token was set, and when progress was told after that."""
        result: AlgorithmResult | None = None
        with suppress(CancelledError):
            result = self._execute(cancel=token, progress=progress)
        took = time.monotonic() - told[0] if told else 0.0
        if result is not None and progress is not None:
            # A worker hears of it later, and may have told more, or be done, by then.
            late = len(told) > 1 and not isinstance(self.subject, Proxy)
            if not told or (took < _HEARD_SECONDS and not late):
                pytest.skip(f"{self.about()[1]} ends before it can be stopped, or tells no progress before its end")
        if result is not None or took > _STOP_SECONDS:
            self.fails(
                what,
                expected=f"CancelledError within {_STOP_SECONDS:g} s",
                got=("the error" if result is None else f"{result!r:.80}") + f" after {took:.1f} s",
                cause="cancel ignored: it does not look at cancel.cancelled between pieces of its work",
            )

    def test_seed(self) -> None:
        """Where it has a parameter ``seed``, the same seed gives the same answer."""
        if "seed" not in self.subject.default_params():
            pytest.skip(f"{self.about()[1]} has no parameter 'seed'")
        values = [self.asked("execute()", lambda: self._execute({"seed": 7})).value for _ in range(2)]
        if values[0] != values[1]:
            self.fails(
                "execute() with seed 7, twice",
                expected=repr(values[0]),
                got=repr(values[1]),
                cause="seed ignored: a random generator is made without it, or the seed does not reach the runs",
            )
