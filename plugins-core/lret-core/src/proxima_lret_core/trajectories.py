"""`TrajectoryState`: samples of a noisy circuit, one pure state for all shots that share a history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import Precision, RunContext
from proxima.contracts.circuit import Condition
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import ErrorBound, Expectation, counts_from_samples
from proxima.errors import ResourceError, UnsupportedError, UsageError
from proxima_lret_core._native import Factor, Trajectories, make_trajectories
from proxima_lret_core.outcomes import measured_bits
from proxima_lret_core.program import Program
from proxima_lret_core.tails import Tail
from proxima_lret_core.watch import Watch

_AMPLITUDE_BYTES = {"single": 8, "double": 16}


@dataclass(frozen=True, slots=False, kw_only=True, eq=False)
class TrajectoryState:
    """What a circuit's shots are drawn from; nothing but samples and counts can be asked of it.

    Each shot follows the exact distribution, but for rounding and for what low-rank simulation dropped before it was
    left. Asking for samples is what runs the circuit, from its beginning or from where low-rank simulation was left.

    Attributes:
        shots: How many were announced.
        start: The columns, the block and the unit to begin with; ``None`` for the beginning.
        spent: What was dropped before, as a trace distance.
        rounding: A bound on what floating-point rounding adds to it.
    """

    program: Program
    precision: Precision
    memory: float
    context: RunContext
    shots: int
    rounding: float
    notes: tuple[str, ...] = ()
    start: tuple[Factor, int, int] | None = None
    spent: float = 0.0

    method = "trajectories"

    @property
    def bound(self) -> float:
        """A bound on the trace distance of the state that shots are drawn from: what was dropped, and rounding."""
        return self.spent + self.rounding

    @property
    def error_bound(self) -> ErrorBound:
        """The largest standard error of a relative frequency over `shots`; where something was dropped, `bound`."""
        if self.spent > 0:
            return ErrorBound("trace_distance", self.bound)
        return ErrorBound("sampling", 0.5 / math.sqrt(max(self.shots, 1)))

    def samples(self, shots: int, seed: int = 0) -> npt.NDArray[np.uint8]:
        """Outcomes of the classical bits, uint8, shape (shots, num_clbits), column j is classical bit j.

        The same seed gives the same shots, whatever the number of threads.

        Raises:
            ResourceError: The memory does not suffice for three tiles of columns.
            CancelledError, DeadlineExceededError: Within a second.
        """
        if shots < 0:
            raise UsageError(f"{shots} shots make no sense")
        most = self._most_shots()
        seeds = np.random.SeedSequence(seed).spawn(-(-shots // most) if shots else 0)
        parts = [np.zeros((0, self.program.circuit.num_clbits), dtype=np.uint8)]
        for at, sequence in enumerate(seeds):
            parts.append(self._batch(min(most, shots - at * most), sequence, at / len(seeds), len(seeds)))
        return np.concatenate(parts)

    def counts(self, shots: int, seed: int = 0) -> dict[str, int]:
        """Counts of the classical bits, highest bit first."""
        return counts_from_samples(self.samples(shots, seed))

    def _most_shots(self) -> int:
        """As many as may each have a column, twice over while a channel is applied."""
        size, held = _AMPLITUDE_BYTES[self.precision] * 2**self.program.circuit.num_qubits, 0.0
        if self.start:
            held = self.start[0].num_bytes
        columns = int(max(0.0, self.memory - held) / size)
        tile = 128 // _AMPLITUDE_BYTES[self.precision]
        if columns < 3 * tile:
            raise ResourceError(
                f"trajectories need at least {3 * tile * size + held:,.0f} bytes, more than were given",
                hint="give the run more memory",
            )
        return columns // 2 - tile

    def _batch(self, shots: int, sequence: np.random.SeedSequence, done: float, batches: int) -> npt.NDArray[np.uint8]:
        circuit = self.program.circuit
        rng = np.random.default_rng(sequence)
        error = self.program.error
        fraction: list[Trajectories] = []
        watch = Watch(
            self.context,
            lambda: done + min(1.0, fraction[0].done / error if error and fraction else 0.0) / batches,
        )
        with watch.guard():
            begun = 0 if self.start else shots
            made = make_trajectories(
                circuit.num_qubits, circuit.num_clbits, self.precision == "single", self.context.threads, begun,
                int(rng.integers(2**63)),
            )  # fmt: skip
            fraction.append(made)
            block, unit = 0, 0
            if self.start:
                factor, block, unit = self.start
                made.add(factor, shots, [0] * circuit.num_clbits, watch)
            for at in range(block, len(self.program.blocks)):
                self._advance(made, at, unit, watch)
                unit = 0
            states, columns = made.samples(watch)
            bits = made.bits()[columns]
        for tail in self.program.tails:
            states = Tail(tuple(tail[0]), tuple(tail[1])).flip(states, rng)
        out = measured_bits(bits, states, circuit.final_measurements, self.program.readout, rng)
        return out[rng.permutation(len(out))]

    def _advance(self, made: Trajectories, at: int, unit: int, watch: Watch) -> None:
        block = self.program.blocks[at]
        holding = made
        if block.condition is not None:
            holding = made.split(_holds(block.condition, made.bits()), watch)
        if holding.count:
            if block.plan is not None:
                holding.advance(block.plan, unit, watch)
            else:
                error = self.program.readout_of(block.qubit)
                holding.measure(block.qubit, block.clbit, error.one_for_zero, error.zero_for_one, watch)
        if holding is not made:
            made.absorb(holding, watch)

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedError(
            f"trajectories give samples and counts, no {what}", hint="take the method low_rank or density_matrix"
        )

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Not to be had: raises UnsupportedError."""
        self._refuse("probabilities")

    def expectation(self, observable: PauliSum) -> Expectation:
        """Not to be had: raises UnsupportedError."""
        self._refuse("expectation value")

    def reduced_density_matrix(self, qubits: Sequence[int]) -> npt.NDArray[np.complex128]:
        """Not to be had: raises UnsupportedError."""
        self._refuse("density matrix")

    def density_matrix(self) -> npt.NDArray[np.complex128]:
        """Not to be had: raises UnsupportedError."""
        self._refuse("density matrix")


def _holds(condition: Condition, bits: npt.NDArray[np.uint8]) -> list[int]:
    """For each row of classical bits, whether the condition holds: 1 or 0."""
    return [int(condition.holds(row)) for row in bits.tolist()]
