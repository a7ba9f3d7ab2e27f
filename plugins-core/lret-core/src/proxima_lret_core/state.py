"""What a run gives, and what can be read from it: `LowRankState`, and `DensityMatrixState`, which answers alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import Precision, RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.observable import PauliSum
from proxima.contracts.readout import ReadoutError
from proxima.contracts.result import ErrorBound, Expectation, counts_from_samples
from proxima.errors import ResourceError, UsageError
from proxima_lret_core._native import Density, Factor, mix
from proxima_lret_core.outcomes import measured_bits
from proxima_lret_core.tails import Tail
from proxima_lret_core.watch import Watch

Bits = tuple[int, ...]
MAX_DENSE_QUBITS = 13


@dataclass(frozen=True, slots=False, kw_only=True, eq=False)
class _State:
    """A state before the final measurements, unnormalised: one part for each value of the classical bits.

    Qubit 0 is the least significant index bit. Every answer is that of a state within `bound` of the exact one in trace
    distance; so a probability of any event is off by at most `bound`, and the expectation value of a Pauli string by
    twice that.

    Attributes:
        branches: By the value of all classical bits after the measurements in the middle.
        tails: Pauli noise that is applied to each answer instead of to the parts.
        rounding: The part of `bound` that floating-point rounding accounts for.
        notes: What was done and why, in sentences.
    """

    circuit: Circuit
    branches: Mapping[Bits, Factor | Density]
    tails: Sequence[tuple[Sequence[int], Sequence[float]]]
    rounding: float
    precision: Precision
    readout: Mapping[int, ReadoutError]
    context: RunContext
    notes: tuple[str, ...] = ()
    _tails: tuple[Tail, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tails", tuple(Tail(tuple(q), tuple(e)) for q, e in self.tails))

    @property
    def spent(self) -> float:
        """The trace of all pieces dropped: what truncation adds to `bound`."""
        return sum(factor.spent for factor in self.branches.values())

    @property
    def bound(self) -> float:
        """A bound on the trace distance to the exact state: truncation and rounding."""
        return self.spent + self.rounding

    @property
    def error_bound(self) -> ErrorBound:
        """`bound`, as a result carries it."""
        return ErrorBound("trace_distance", self.bound)

    @property
    def num_bytes(self) -> int:
        """Memory that the state takes."""
        return int(sum(factor.num_bytes for factor in self.branches.values()))

    @cached_property
    def _traces(self) -> dict[Bits, float]:
        return {bits: factor.trace() for bits, factor in self.branches.items()}

    @cached_property
    def _trace(self) -> float:
        return sum(self._traces.values())

    @property
    def _num_qubits(self) -> int:
        return self.circuit.num_qubits

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Of the computational basis states, float64, shape (2^n,)."""
        total: npt.NDArray[np.float64] = sum(
            (self._of_branch(factor) for factor in self.branches.values()), np.zeros(2**self._num_qubits)
        )
        return total / self._trace

    def _of_branch(self, factor: Factor | Density) -> npt.NDArray[np.float64]:
        if 8 * 2**self._num_qubits > 2**36:
            raise ResourceError(
                f"the probabilities of {self._num_qubits} qubits take {8 * 2**self._num_qubits:,} bytes"
            )
        watch = Watch(self.context)
        with watch.guard():
            values = factor.probabilities(watch)
        for tail in self._tails:
            values = tail.mix_probabilities(values)
        return values

    def expectation(self, observable: PauliSum) -> Expectation:
        """The expectation value of a Pauli sum.

        Raises:
            UsageError: Its strings span another number of qubits.
        """
        if observable.num_qubits != self._num_qubits:
            raise UsageError(
                f"the observable spans {observable.num_qubits} qubits, the circuit {self._num_qubits}",
                hint="write I for a qubit that is left alone",
            )
        value = sum(coefficient * self._pauli(letters) for coefficient, letters in observable.terms)
        return Expectation(str(observable), value / self._trace)

    def _pauli(self, letters: str) -> float:
        digits = ["IXYZ".index(letter) for letter in reversed(letters)]
        shrink = 1.0
        for tail in self._tails:
            shrink *= tail.eigenvalue([digits[q] for q in tail.qubits])
        x = sum(1 << q for q, d in enumerate(digits) if d in (1, 2))
        z = sum(1 << q for q, d in enumerate(digits) if d in (2, 3))
        watch = Watch(self.context)
        with watch.guard():
            total = sum(factor.pauli(x, z, watch) for factor in self.branches.values())
        return shrink * (1j ** digits.count(2) * total.conjugate()).real

    def reduced_density_matrix(self, qubits: Sequence[int]) -> npt.NDArray[np.complex128]:
        """The state of some qubits, complex128, shape (2^k, 2^k); the first listed is the least significant bit.

        Raises:
            UsageError: A qubit does not exist or is listed twice.
            ResourceError: More than 13 qubits would be needed.
        """
        wanted = list(qubits)
        if len(set(wanted)) != len(wanted) or not all(0 <= q < self._num_qubits for q in wanted):
            raise UsageError(f"the qubits {wanted} are not distinct qubits of 0 to {self._num_qubits - 1}")
        involved = [t for t in self._tails if set(t.qubits) & set(wanted)]
        extra = sorted({q for t in involved for q in t.qubits} - set(wanted))
        every = wanted + extra
        if len(every) > MAX_DENSE_QUBITS:
            raise ResourceError(
                f"a density matrix of {len(every)} qubits takes {16 * 4 ** len(every):,} bytes;"
                f" at most {MAX_DENSE_QUBITS} qubits are offered",
                hint="ask for fewer qubits, probabilities or expectation values",
            )
        watch = Watch(self.context)
        with watch.guard():
            pairs = sum(
                (factor.reduced(every, watch) for factor in self.branches.values()),
                np.zeros((2 ** len(every), 2 ** len(every), 2)),
            )
            pairs = np.ascontiguousarray(pairs)
            if involved:
                mix(pairs, [([every.index(q) for q in tail.qubits], tail.values) for tail in involved], watch)
        rho: npt.NDArray[np.complex128] = pairs.view(np.complex128)[..., 0]
        size, rest = 2 ** len(wanted), 2 ** len(extra)
        traced: npt.NDArray[np.complex128] = np.trace(rho.reshape(rest, size, rest, size), axis1=0, axis2=2)
        return traced / self._trace

    def density_matrix(self) -> npt.NDArray[np.complex128]:
        """The whole state, complex128, shape (2^n, 2^n).

        Raises:
            ResourceError: More than 13 qubits.
        """
        return self.reduced_density_matrix(range(self._num_qubits))

    def samples(self, shots: int, seed: int = 0) -> npt.NDArray[np.uint8]:
        """Outcomes of the classical bits, uint8, shape (shots, num_clbits), column j is classical bit j."""
        if shots < 0:
            raise UsageError(f"{shots} shots make no sense")
        rng = np.random.default_rng(seed)
        bits = list(self.branches)
        weights = np.array([self._traces[b] for b in bits])
        shares = rng.multinomial(shots, weights / weights.sum())
        parts = [self._sample_branch(b, int(share), rng) for b, share in zip(bits, shares, strict=True) if share]
        if not parts:
            return np.zeros((0, self.circuit.num_clbits), dtype=np.uint8)
        out = np.concatenate(parts)
        return rng.permutation(out) if len(parts) > 1 else out

    def _sample_branch(self, bits: Bits, shots: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        measured = self.circuit.final_measurements
        states = np.zeros(shots, dtype=np.int64)
        if measured:
            cumulative = np.cumsum(np.maximum(self._of_branch(self.branches[bits]), 0.0))
            states = np.searchsorted(cumulative, rng.random(shots) * cumulative[-1], side="right")
        return measured_bits(np.tile(np.array(bits, dtype=np.uint8), (shots, 1)), states, measured, self.readout, rng)

    def counts(self, shots: int, seed: int = 0) -> dict[str, int]:
        """Counts of the classical bits, highest bit first."""
        return counts_from_samples(self.samples(shots, seed))


class LowRankState(_State):
    """A state as factors L of rho = sum over the classical bits of L L^dagger."""

    method = "low_rank"

    @property
    def rank(self) -> int:
        """Columns of all factors."""
        return sum(factor.rank for factor in self.branches.values())

    @property
    def most_columns(self) -> int:
        """The largest number of columns a factor had on the way."""
        return max(factor.most_columns for factor in self.branches.values() if isinstance(factor, Factor))


class DensityMatrixState(_State):
    """A state as density matrices, one for each value of the classical bits, by their Pauli coefficients."""

    method = "density_matrix"
