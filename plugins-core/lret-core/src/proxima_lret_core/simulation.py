"""`run`, low-rank simulation alone, and `simulate`, which takes the method that suits the circuit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from proxima.contracts.backend import Precision, RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.contracts.readout import ReadoutError
from proxima.errors import ResourceError, UnsupportedError, UsageError
from proxima_lret_core._native import Factor
from proxima_lret_core.ensemble import Ensemble, Limits
from proxima_lret_core.memory import available_bytes
from proxima_lret_core.prediction import Prediction
from proxima_lret_core.program import Program
from proxima_lret_core.refusals import MAX_QUBITS, ROUNDOFF, refuse_rounding, refuse_senseless
from proxima_lret_core.state import DensityMatrixState, LowRankState
from proxima_lret_core.trajectories import TrajectoryState

__all__ = ["MAX_QUBITS", "METHODS", "Method", "run", "simulate"]

Method = Literal["automatic", "low_rank", "density_matrix", "trajectories"]
METHODS: tuple[Method, ...] = ("automatic", "low_rank", "density_matrix", "trajectories")
_NAMES = {"low_rank": "low rank", "density_matrix": "a density matrix", "trajectories": "trajectories"}


def run(
    circuit: Circuit,
    *,
    tolerance: float = 5e-3,
    noise: NoiseModel | None = None,
    readout: Mapping[int, ReadoutError] | None = None,
    precision: Precision = "single",
    memory: int | None = None,
    context: RunContext | None = None,
) -> LowRankState:
    """Runs a circuit up to its final measurements, by low-rank simulation alone.

    Args:
        circuit: Without open parameters.
        tolerance: The largest trace distance to the exact state that is accepted, 0 < tolerance <= 1.
        noise: Applied to the circuit first.
        readout: For the measurements of these qubits; by default those of the noise model.
        precision: Of the columns; what rounding adds is part of the bound.
        memory: Bytes that the columns may take; by default three quarters of what the machine has free.
        context: Threads, deadline, cancellation; its progress tells the rank and the budget spent.

    Returns:
        The state; its `LowRankState.bound` is at most ``tolerance``.

    Raises:
        UsageError: The tolerance is out of range, noise names a qubit that does not exist, or a parameter is open.
        UnsupportedError: The precision's rounding alone exceeds the tolerance, or an operation is not offered.
        ResourceError: The memory does not suffice; the hint says for which tolerance it would.
        CancelledError, DeadlineExceededError: Within a second.
    """
    return _Simulation(circuit, tolerance, noise, readout, precision, memory, None, context).low_rank()


def simulate(
    circuit: Circuit,
    *,
    tolerance: float = 5e-3,
    noise: NoiseModel | None = None,
    readout: Mapping[int, ReadoutError] | None = None,
    precision: Precision = "single",
    memory: int | None = None,
    shots: int | None = None,
    method: Method = "automatic",
    context: RunContext | None = None,
) -> LowRankState | DensityMatrixState | TrajectoryState:
    """Runs a circuit up to its final measurements by the method that suits it.

    ``automatic`` takes what is expected to cost least. Low-rank simulation is left in the middle, for a density matrix
    or for trajectories, where its columns become too many; what was dropped until then stays part of the bound. The
    state's ``method`` and ``notes`` say what was done and why.

    Args:
        circuit: As for `run`, like all that is not told here.
        tolerance: The largest trace distance to the exact state that is accepted.
        noise: Applied to the circuit first.
        readout: For the measurements of these qubits.
        precision: ``single`` or ``double``.
        memory: Bytes that the state may take.
        context: Threads, deadline, cancellation, progress.
        shots: How many are wanted where nothing but samples or counts is, so that trajectories will do.
        method: One of `METHODS`.

    Raises:
        UsageError: As for `run`; or trajectories are asked for without shots.
        UnsupportedError, ResourceError, CancelledError, DeadlineExceededError: As for `run`.
    """
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}", hint=f"one of {', '.join(METHODS)}")
    if shots is not None and shots < 1:
        raise UsageError(f"{shots} shots make no sense")
    if method == "trajectories" and shots is None:
        raise UsageError(
            "trajectories give samples and counts only, and no shots were asked for",
            hint="say how many shots, or take low_rank or density_matrix",
        )
    simulation = _Simulation(circuit, tolerance, noise, readout, precision, memory, shots, context)
    if method == "low_rank":
        return simulation.low_rank()
    if method == "density_matrix":
        simulation.check_density_matrix()
        return simulation.density_matrix(("Asked for: a density matrix.",))
    if method == "trajectories":
        simulation.check_rounding()
        return simulation.trajectories(("Asked for: trajectories.",))
    return simulation.automatic()


class _Simulation:
    """One request."""

    def __init__(
        self,
        circuit: Circuit,
        tolerance: float,
        noise: NoiseModel | None,
        readout: Mapping[int, ReadoutError] | None,
        precision: Precision,
        memory: int | None,
        shots: int | None,
        context: RunContext | None,
    ) -> None:
        refuse_senseless(tolerance, precision)
        self._program = Program(circuit, noise, readout)
        self._tolerance = tolerance
        self._precision: Precision = precision
        self._memory = float(available_bytes() * 3 // 4 if memory is None else memory)
        self._shots = shots
        self._context = context or RunContext()
        self._prediction = Prediction(self._program, tolerance, precision, shots)

    def low_rank(self) -> LowRankState:
        """Low-rank simulation to the end."""
        self.check_rounding()
        ensemble = self._ensemble()
        ensemble.run_low_rank()
        return self._low_rank_state(ensemble, ())

    def density_matrix(self, notes: tuple[str, ...]) -> DensityMatrixState:
        """A density matrix from the start."""
        ensemble = self._ensemble()
        ensemble.run_density_matrix()
        return self._density_matrix_state(ensemble, notes)

    def trajectories(self, notes: tuple[str, ...]) -> TrajectoryState:
        """Trajectories, which are drawn when samples are asked for."""
        return TrajectoryState(
            program=self._program,
            precision=self._precision,
            memory=self._memory,
            context=self._context,
            shots=self._shots or 0,
            rounding=self._roundoff * self._program.rounding,
            notes=notes,
        )

    def automatic(self) -> LowRankState | DensityMatrixState | TrajectoryState:
        """What is expected to cost least, and what it is left for."""
        reasons = {name: self._why_not(name) for name in _NAMES}
        open_ = {name: self._prediction.seconds(name) for name, reason in reasons.items() if not reason}
        if not open_:
            self.check_rounding()  # which says what would do
            return self.low_rank()
        chosen = min(open_, key=lambda name: open_[name])
        rest = [f"{_NAMES[name]} {open_[name] / open_[chosen]:.2g} times that" for name in open_ if name != chosen]
        why = f"expected to cost least: {', '.join(rest)}" if rest else "the only method that is open"
        closed = [f"{_NAMES[name]}: {reason}" for name, reason in reasons.items() if reason and name != "trajectories"]
        notes = (f"Chosen: {_NAMES[chosen]}, {why}.", *(f"Not {each}." for each in closed))
        if chosen == "density_matrix":
            return self.density_matrix(notes)
        if chosen == "trajectories":
            return self.trajectories(notes)
        ensemble = self._ensemble()
        ensemble.limits = self._limits([name for name in reasons if name != "low_rank" and not reasons[name]])
        ensemble.run_low_rank()
        return self._finished(ensemble, notes)

    def _finished(
        self, ensemble: Ensemble, notes: tuple[str, ...]
    ) -> LowRankState | DensityMatrixState | TrajectoryState:
        if ensemble.left_at is None:
            return self._low_rank_state(ensemble, notes)
        block, unit, rank = ensemble.left_at
        switched = f"Went over from low rank to {_NAMES[ensemble.method]} at {rank} columns, too many to be worth it"
        notes = (*notes, f"{switched}.")
        if ensemble.method == "density_matrix":
            return self._density_matrix_state(ensemble, notes)
        (factor,) = ensemble.branches.values()
        assert isinstance(factor, Factor)
        return replace(self.trajectories(notes), start=(factor, block, unit), spent=factor.spent + factor.rounding)

    def _limits(self, others: Sequence[str]) -> Limits | None:
        if not others:
            return None

        def columns(at: int) -> Sequence[float]:
            most = [self._prediction.worth(at, to) for to in others]
            room = self._memory
            if "density_matrix" in others:  # it is made while the columns are there
                room -= 3 * self._prediction.density_bytes
            fits = max(0.0, room) / self._prediction.bytes_of_column
            return [min(fits, *each) for each in zip(*most, strict=True)]

        def next_method(rank: int, at: int, unit: int) -> str | None:
            usable = [name for name in others if name == "trajectories" or self._may_convert(at, unit)]
            return min(usable, key=lambda name: self._prediction.seconds_left(name, at, unit), default=None)

        return Limits(columns, next_method)

    def _may_convert(self, at: int, unit: int) -> bool:
        """Whether the rounding of a density matrix from there on keeps to the tolerance, what is spent included."""
        share = self._prediction.share_done(at, unit)
        left = self._program.density_rounding * (1 - share) + self._prediction.conversion_rounding
        return self._roundoff * (left + self._program.rounding) <= self._tolerance * (1 - share)

    def _why_not(self, method: str) -> str:
        """Why a method is not open; empty where it is."""
        if method == "trajectories" and self._shots is None:
            return "more than samples is wanted"
        if method == "density_matrix":
            if self._program.too_wide:
                return f"an operation acts on {self._program.too_wide} qubits"
            needed = self._prediction.density_bytes
            if needed > self._memory:
                return f"it takes {needed:,.0f} bytes"
            rounding = self._roundoff * self._program.density_rounding
        else:
            rounding = self._roundoff * self._program.rounding
            if self._prediction.bytes_of_column * self._prediction.tile > self._memory:
                return "a statevector does not fit into the memory"
        if rounding >= self._tolerance:
            return f"its rounding may come to {rounding:.2g}"
        return ""

    def check_rounding(self) -> None:
        """Raises UnsupportedError where rounding alone may exceed the tolerance."""
        refuse_rounding(self._roundoff * self._program.rounding, self._tolerance, self._precision)

    def check_density_matrix(self) -> None:
        """Raises what keeps a density matrix from being used."""
        if self._program.too_wide:
            raise UnsupportedError(
                f"an operation acts on {self._program.too_wide} qubits; a density matrix takes at most 4 here",
                hint="take the method low_rank",
            )
        needed = self._prediction.density_bytes
        if needed > self._memory:
            raise ResourceError(
                f"the density matrix takes {needed:,.0f} bytes, more than were given",
                hint="give the run more memory, or take the method low_rank",
            )
        refuse_rounding(self._roundoff * self._program.density_rounding, self._tolerance, self._precision)

    @property
    def _roundoff(self) -> float:
        return ROUNDOFF[self._precision]

    def _ensemble(self) -> Ensemble:
        return Ensemble(self._program, self._precision, self._memory, self._context, self._tolerance)

    def _low_rank_state(self, ensemble: Ensemble, notes: tuple[str, ...]) -> LowRankState:
        return LowRankState(
            circuit=self._program.circuit,
            branches=ensemble.branches,
            tails=self._program.tails,
            rounding=ensemble.rounding + sum(s.rounding for s in ensemble.branches.values()),
            precision=self._precision,
            readout=self._program.readout,
            context=self._context,
            notes=notes,
        )

    def _density_matrix_state(self, ensemble: Ensemble, notes: tuple[str, ...]) -> DensityMatrixState:
        state = DensityMatrixState(
            circuit=self._program.circuit,
            branches=ensemble.branches,
            tails=(),  # they were superoperators
            rounding=ensemble.rounding + sum(s.rounding for s in ensemble.branches.values()),
            precision=self._precision,
            readout=self._program.readout,
            context=self._context,
            notes=notes,
        )
        refuse_rounding(state.bound, self._tolerance, self._precision)
        return state
