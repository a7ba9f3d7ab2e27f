"""The contract between the kernel and a simulator: what it is asked, and what it answers.

A backend never imports its engine at module level: `probe` and `estimate` are asked of every installed backend before
one is chosen, and must stay cheap.
"""

from __future__ import annotations

import math
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import RunResult
from proxima.errors import CancelledError, DeadlineExceededError

Precision = Literal["single", "double"]
Want = Literal["counts", "samples", "probabilities", "statevector", "density_matrix", "expectation", "gradient"]
WANTS: tuple[Want, ...] = get_args(Want)

ProbeState = Literal["available", "not_installed", "libraries_missing", "no_device", "error"]


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a backend can run here.

    Attributes:
        reason, hint: Why not, in words, and what to do about it; empty where it is available.
        versions: Of the engine's distributions, e.g. ``{"qsimcirq": "0.22.1"}``.
    """

    state: ProbeState
    reason: str = ""
    hint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What is to be run.

    Attributes:
        circuit: With noise, if any, as channel operations. It has open parameters where a ``gradient`` is wanted, and
            only there; whatever else is wanted is of ``circuit.bind(parameters)``.
        shots: How often to sample; ``None`` where nothing is sampled. Expectation values are exact where the backend
            computes them so, whatever the number of shots.
        seed: 0 <= seed < 2^63.
        precision: The least precision accepted. A backend uses exactly this one where it offers it, else a higher one.
        wants: What to return. State wants describe the state before the final measurements.
        observables: For the wants ``expectation`` and ``gradient``.
        parameters: For the want ``gradient``: the values of the circuit's open parameters, at which it is taken.
        options: Backend-specific, e.g. ``{"method": "matrix_product_state"}``.
    """

    circuit: Circuit
    shots: int | None = 1024
    seed: int = 0
    precision: Precision = "single"
    wants: tuple[Want, ...] = ("counts",)
    observables: tuple[PauliSum, ...] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would cost, without running it and without importing the engine.

    Attributes:
        feasible, reason: Whether the backend can run this request at all, and why not; memory is judged by the caller.
        memory_bytes: Peak memory on top of the imported engine.
        work: How much of each of the backend's own units of work the run takes, e.g. ``{"run": 1, "gate": 300,
            "amplitude": 2**20 * 300}``. Times the seconds per unit this machine was calibrated to, they give the time.
    """

    feasible: bool
    reason: str = ""
    method: str = ""
    memory_bytes: int = 0
    work: Mapping[str, float] = field(default_factory=dict)

    def seconds(self, rates: Mapping[str, float]) -> float:
        """The estimated time, given seconds per unit of work; infinite where a unit has no rate.

        >>> Estimate(True, work={"run": 1, "gate": 100}).seconds({"run": 0.002, "gate": 1e-6})
        0.0021
        """
        return sum(amount * rates.get(unit, math.inf) for unit, amount in self.work.items() if amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A request made ready to run; it can be run many times.

    Attributes:
        native: The engine's own objects; only the backend that made the plan looks inside.
        timings: Seconds spent in ``import``, ``translate`` and ``compile`` to make it.
    """

    backend: str
    request: RunRequest
    method: str
    native: Any
    timings: Mapping[str, float] = field(default_factory=dict)


class CancelToken:
    """Tells a run to stop; may be set from any thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Asks the run to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The surroundings of one run.

    Attributes:
        threads: The most threads to use.
        deadline: A `time.monotonic` instant after which the run must give up.
        progress: Called with a fraction in [0, 1] (``None`` where it is not known) and a short message.
        scratch: A private directory for temporary files.
    """

    threads: int = 1
    deadline: float | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    progress: Callable[[float | None, str], None] = lambda fraction, message: None
    scratch: Path | None = None

    def check(self) -> None:
        """Raises `CancelledError` or `DeadlineExceededError`; to be called at least every half second of a run."""
        if self.cancel.cancelled:
            raise CancelledError("the run was cancelled")
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise DeadlineExceededError("the run passed its deadline", hint="give it more time with --deadline")


class Backend(Protocol):
    """A simulator.

    A backend holds no state between runs but caches, and is safe to use from several threads.
    """

    name: str

    @abstractmethod
    def probe(self) -> Probe:
        """Whether it can run here; imports no engine where that can be told without."""

    @abstractmethod
    def estimate(self, request: RunRequest, features: Features) -> Estimate:
        """What the request would cost; ``features`` are those of the request's circuit."""

    @abstractmethod
    def plan(self, request: RunRequest) -> Plan:
        """Translates the circuit.

        Raises:
            BackendUnavailableError: The engine is missing.
            UnsupportedError: The circuit or the request needs what the backend cannot do; the message names it.
        """

    @abstractmethod
    def run(self, plan: Plan, context: RunContext) -> RunResult:
        """Runs a plan and returns what its request wants.

        Raises:
            CancelledError, DeadlineExceededError: Within a second of the token being set or the deadline passing.
            RunError: The engine failed.
        """

    def bind(self, plan: Plan, request: RunRequest) -> Plan:
        """A plan for a request that differs from the plan's own in angles, seed and shots alone.

        The default plans anew; a backend that can re-use its compiled circuit does so.
        """
        return self.plan(request)
