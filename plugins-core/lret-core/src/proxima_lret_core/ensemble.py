"""`Ensemble`: the states by the classical bits they go with, and the run that makes them.

A measurement in the middle splits the state into one for each value of the classical bits, so that what follows is
exact and needs no trajectories; branches that come to the same bits are joined. Budget and memory are shared between
the branches by their weight.

All branches are factors (low rank) or all are density matrices. A run that begins with factors may be left before its
end where `Limits` say so: it goes on with density matrices, or hands what it has to trajectories.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxima.contracts.backend import Precision, RunContext
from proxima.errors import ResourceError
from proxima_lret_core._native import Density, Factor, make_density, make_factor
from proxima_lret_core.program import Block, Program
from proxima_lret_core.refusals import ROUNDOFF
from proxima_lret_core.watch import Watch

Bits = tuple[int, ...]
_NO_WEIGHT = 1e-14


@dataclass(frozen=True, slots=True)
class Limits:
    """How far low-rank simulation is worth its cost.

    Attributes:
        columns: For a block's plan, the most columns that are worth keeping at each of its units.
        next_method: What to go on with, given how many columns there are and which block and unit comes next; ``None``
            to go on as before.
    """

    columns: Callable[[int], Sequence[float]]
    next_method: Callable[[int, int, int], str | None]


@dataclass(slots=True, weakref_slot=True, eq=False)
class Ensemble:
    """A run of a `Program`.

    Attributes:
        branches: By the value of all classical bits.
        rounding: The part of the bound that is known before the run.
        left_at: Where the low-rank run was left to another method: block, unit, columns.
        method: The one that is in use.
    """

    program: Program
    precision: Precision
    memory: float
    context: RunContext
    tolerance: float
    limits: Limits | None = None
    branches: dict[Bits, Factor | Density] = field(default_factory=dict)
    rounding: float = 0.0
    method: str = "low_rank"
    left_at: tuple[int, int, int] | None = None
    _watch: Watch = field(init=False)

    def run_low_rank(self) -> None:
        """Everything up to the final measurements, or up to where trajectories take over (`left_at`)."""
        circuit = self.program.circuit
        self.rounding = ROUNDOFF[self.precision] * self.program.rounding
        self._start_watch()
        with self._watch.guard():
            first = make_factor(circuit.num_qubits, self.precision == "single", self.context.threads, self.memory)
            first.grant(self.tolerance - self.rounding, self.program.error)
            self.branches[(0,) * circuit.num_clbits] = first
            self._run()

    def run_density_matrix(self) -> None:
        """The same with density matrices from the start."""
        circuit = self.program.circuit
        self.method = "density_matrix"
        self._start_watch()
        with self._watch.guard():
            first = make_density(circuit.num_qubits, self.precision == "single", self.context.threads, self.memory)
            self.branches[(0,) * circuit.num_clbits] = first
            self._run()

    def _start_watch(self) -> None:
        here = weakref.ref(self)  # held through its own watch, its columns would wait for the garbage collector
        self._watch = Watch(self.context, lambda: each._fraction() if (each := here()) else None)

    def _fraction(self) -> float | None:
        if len(self.branches) != 1:
            return None
        (state,) = self.branches.values()
        if isinstance(state, Density):
            return state.progress if len(self.program.blocks) == 1 and not self.left_at else None
        return min(1.0, state.done / self.program.error) if self.program.error else None

    def _run(self) -> None:
        for at, block in enumerate(self.program.blocks):
            if block.plan is None:
                self._measure(block)
            else:
                self._advance(at, block)
            if self.method == "trajectories":
                return

    def _advance(self, at: int, block: Block) -> None:
        assert block.plan is not None
        for bits in list(self.branches):
            if block.condition is None or block.condition.holds(bits):
                self._advance_branch(at, bits)
                if self.method == "trajectories":
                    return

    def _advance_branch(self, at: int, bits: Bits) -> None:
        plan = self.program.blocks[at].plan
        assert plan is not None
        state, unit = self.branches[bits], 0
        if isinstance(state, Factor):
            others = sum(s.num_bytes for s in self.branches.values() if s is not state)
            state.limit(max(0.0, self.memory - others))
            most = self.limits.columns(at) if self.limits else []
            unit = state.advance(plan, 0, most, self._watch)
            if unit < plan.num_units:
                self._leave(at, unit, state.rank)
                if self.method == "trajectories":
                    return
                state = self.branches[bits]
                if isinstance(state, Factor):
                    state.advance(plan, unit, [], self._watch)
        if isinstance(state, Density):
            state.advance(plan.superops(unit, self.program.circuit.num_qubits), self._watch)

    def _leave(self, at: int, unit: int, rank: int) -> None:
        """Goes over to another method where one is at hand; else low-rank simulation has no limits from here on."""
        assert self.limits is not None
        method = self.limits.next_method(rank, at, unit)
        self.limits = None
        if method == "trajectories":
            self.method, self.left_at = method, (at, unit, rank)
        elif method == "density_matrix":
            made: dict[Bits, Factor | Density] = {}
            for bits, factor in self.branches.items():
                assert isinstance(factor, Factor)
                made[bits] = factor.density(self.context.threads, self.memory, self._watch)
            self.branches = made
            self.method, self.left_at = method, (at, unit, rank)

    def _measure(self, block: Block) -> None:
        """Splits every branch by outcome and by what is told of it, or joins those whose bits come out the same."""
        needed = 2 * sum(state.num_bytes for state in self.branches.values())
        if needed > self.memory:
            raise ResourceError(
                f"a measurement in the middle needs {needed:,.0f} bytes for its branches, more than were given",
                hint="give the run more memory or a larger tolerance",
            )
        error = self.program.readout_of(block.qubit)
        told = [(0, 0, 1 - error.one_for_zero), (0, 1, error.one_for_zero)]
        told += [(1, 1, 1 - error.zero_for_one), (1, 0, error.zero_for_one)]
        split: dict[Bits, Factor | Density] = {}
        for bits, state in self.branches.items():
            if block.condition is not None and not block.condition.holds(bits):
                _join(split, bits, state)
                continue
            parts = [(bit, state.project(block.qubit, outcome, share)) for outcome, bit, share in told if share]
            weights = [part.trace() for _, part in parts]
            nothing = 4 * ROUNDOFF[self.precision] if isinstance(state, Density) else 0.0
            least = min(max(weights), max(_NO_WEIGHT, nothing, 0.1 * state.allowed))
            total = sum(w for w in weights if w >= least)
            dropped = sum(max(w, 0.0) for w in weights if w < least)
            for (bit, part), weight in zip(parts, weights, strict=True):
                if weight >= least:
                    part.scale_budget(weight / total)
                    part.charge(dropped * weight / total)
                    _join(split, (*bits[: block.clbit], bit, *bits[block.clbit + 1 :]), part)
            self.context.check()
        self.branches = split


def _join(branches: dict[Bits, Factor | Density], bits: Bits, state: Factor | Density) -> None:
    there = branches.get(bits)
    if there is None:
        branches[bits] = state
    else:
        there.absorb(state)  # type: ignore[arg-type]  # all are of one kind
