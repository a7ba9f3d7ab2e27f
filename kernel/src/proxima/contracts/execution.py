"""The contract of the service that runs circuits: import, select, run, store."""

from __future__ import annotations

import math
import operator
from abc import abstractmethod
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from proxima.contracts.backend import WANTS, CancelToken, Precision, Want
from proxima.contracts.circuit import Circuit
from proxima.contracts.lazy_numpy import np
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import RunResult
from proxima.errors import UsageError

Progress = Callable[[float | None, str], None]
"""Called with a fraction in [0, 1], ``None`` where it is not known, and a short message."""

MAX_SHOTS = 10**9
MAX_PARTS = 10**5


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _numbers(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(number, (int, float, np.number)) for number in value.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a circuit is to be run; what is left out is chosen, and the choice is recorded with the result.

    Attributes:
        backend: A backend's name, or ``auto``.
        shots: Samples to take for ``counts`` and ``samples``.
        seed: 0 <= seed < 2^63; ``None`` draws one.
        precision: The least precision accepted; ``None`` means ``single`` where only counts or samples are wanted and
            ``double`` otherwise.
        deadline: Seconds from the start of the run.
        threads: ``None`` means every core.
        store: Whether the result is kept.
        parts: In how many parts the shots are taken, each with a seed of its own that follows from ``seed``. Executors
            run them side by side; where they run does not change the result.
        optimize: Whether gates that cancel are left out, and neighbours fused into matrices where it takes them.
        observables: For the wants ``expectation`` and ``gradient``: each is given of every one.
        parameters: Values for the circuit's open parameters; a gradient is taken there.
        options: Handed to the backend, e.g. ``{"method": "matrix_product_state"}``.
    """

    backend: str = "auto"
    shots: int = 1024
    seed: int | None = None
    precision: Precision | None = None
    noise: NoiseModel | None = None
    wants: tuple[Want, ...] = ("counts",)
    observables: tuple[PauliSum, ...] = ()
    deadline: float | None = None
    threads: int | None = None
    store: bool = True
    parts: int = 1
    optimize: bool = False
    parameters: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, *, want: str | Sequence[str] = "counts", noise: object = None, **options: Any) -> RunOptions:
        """Options from what a user writes: wants as text (``expectation:ZZI``, ``gradient:ZZI``).

        Noise is whatever `NoiseModel.of` reads.

        Raises:
            UsageError: An option is unknown, of the wrong type or out of range.
        """
        wants: list[Want] = []
        observables: list[PauliSum] = []
        for text in [want] if isinstance(want, str) or not isinstance(want, Sequence) else want:
            name, _, observable = str(text).partition(":")
            if name not in WANTS or bool(observable) != (name in ("expectation", "gradient")):
                hint = (
                    "one of counts, samples, probabilities, statevector, density_matrix, "
                    'expectation:"0.5*ZZI - XIX", gradient:"0.5*ZZI - XIX"'
                )
                raise UsageError(f"unknown result {text!r}", hint=hint)
            if observable and (parsed := PauliSum.parse(observable)) not in observables:
                observables.append(parsed)
            if name not in wants:
                wants.append(name)
        unknown = sorted(set(options) - {f.name for f in fields(cls)})
        if unknown:
            raise UsageError(f"there is no run option called {unknown[0]!r}")
        model = None if noise is None else NoiseModel.of(noise)
        given = {name: value for name, value in options.items() if value is not None}
        for name in {"shots", "seed", "threads", "parts"} & given.keys():
            if hasattr(given[name], "__index__") and not isinstance(given[name], bool):
                given[name] = operator.index(given[name])  # numpy's integers, too
        made = cls(wants=tuple(wants), observables=tuple(observables), noise=model, **given)
        made.check()
        return made

    def check(self) -> None:
        """Raises `UsageError` where an option is of the wrong type or out of range."""
        rules: tuple[tuple[str, bool, str], ...] = (
            ("shots", _whole(self.shots, 1, MAX_SHOTS), f"a whole number from 1 to {MAX_SHOTS}"),
            ("seed", self.seed is None or _whole(self.seed, 0, 2**63 - 1), "a whole number from 0 to 2^63 - 1"),
            ("precision", self.precision in (None, "single", "double"), "single or double"),
            ("threads", self.threads is None or _whole(self.threads, 1, 4096), "a whole number from 1"),
            ("parts", _whole(self.parts, 1, MAX_PARTS), f"a whole number from 1 to {MAX_PARTS}"),
            ("optimize", isinstance(self.optimize, bool), "true or false"),
            ("parameters", _numbers(self.parameters), "a mapping of names to numbers"),
            ("options", isinstance(self.options, Mapping), "a mapping"),
            ("deadline", self.deadline is None or _positive(self.deadline), "a positive number of seconds"),
        )
        for name, holds, expected in rules:
            if not holds:
                raise UsageError(f"{name}: expected {expected}, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One backend's part in a comparison.

    Attributes:
        result: ``None`` where the backend could not run it; ``error`` says why.
        distance: Total variation distance of its counts from all backends' pooled counts.
        threshold: The distance that sampling noise alone exceeds with probability 1e-6.
    """

    backend: str
    result: RunResult | None
    error: str = ""
    distance: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same circuit on several backends.

    Attributes:
        verdict: ``agree``, ``disagree`` (some distance exceeds its threshold) or ``incomplete`` (fewer than two ran).
    """

    runs: tuple[ComparedRun, ...]
    verdict: str
    reason: str


class Execution(Protocol):
    """Runs circuits on the installed backends."""

    @abstractmethod
    def load(self, source: str, *, data: bytes | None = None) -> Circuit:
        """Reads a circuit file with the format plugin that recognises it; ``-`` reads standard input.

        Raises:
            UsageError: There is no such file, or no format recognises it.
            CircuitSyntaxError: It is damaged.
        """

    @abstractmethod
    def run(
        self,
        circuit: Circuit,
        options: RunOptions,
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        executor: str = "local",
    ) -> RunResult:
        """Selects a backend, runs the circuit and stores the result.

        The `Executor` at the address ``executor`` runs it, or its parts.

        Raises:
            UnavailableError: No installed backend can run it; the message says why for each.
        """

    @abstractmethod
    def sweep(
        self,
        circuits: Sequence[Circuit],
        bindings: Sequence[Mapping[str, float]],
        options: RunOptions,
        *,
        executor: str = "local",
        skip: Collection[int] = (),
        retries: int = 2,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Generator[tuple[int, RunResult], None, None]:
        """Runs every circuit at every set of parameter values, each circuit on one backend; nothing is stored.

        Yields each point's number and result once, as they come, in any order: ``i * len(bindings) + j`` is circuit i
        at values j, which go before those of the options. The numbers in ``skip`` are left out; a point whose engine
        fails is tried again ``retries`` times. With a given seed a result depends neither on the executor, nor on the
        order and the other points; on the number of threads to rounding.

        Raises:
            UsageError: The options or a point do not fit the circuits; before anything is run.
            RunError: A point failed for good, or the executor was lost; results yielded before are sound.
        """

    @abstractmethod
    def compare(
        self,
        circuit: Circuit,
        backends: Sequence[str],
        options: RunOptions,
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> Comparison:
        """Runs the circuit on each of the backends (on every one that can, where none is named)."""
