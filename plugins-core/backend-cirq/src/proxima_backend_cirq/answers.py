"""What a request wants, gathered from the ends of its simulation."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunRequest
from proxima.contracts.result import Expectation, counts_from_samples
from proxima_backend_cirq.pauli import moments
from proxima_backend_cirq.program import Program
from proxima_backend_cirq.states import DensityMatrix


class Answers:
    """Adds up leaves.

    Attributes:
        sample_seconds: Spent on drawing samples.
        convert_seconds: Spent on turning states into what is wanted.
    """

    def __init__(
        self,
        request: RunRequest,
        program: Program,
        rng: np.random.Generator,
        check: Callable[[], None],
        *,
        sampled_moments: bool,
    ) -> None:
        self._request = request
        self._program = program
        self._rng = rng
        self._check = check
        self._sampled_moments = sampled_moments
        self._row = 0
        self._moments = np.zeros((len(request.observables), 3))
        self.samples = np.zeros((request.shots or 0, program.num_clbits), dtype=np.uint8)
        self.statevector: npt.NDArray[Any] | None = None
        self.density_matrix: npt.NDArray[Any] | None = None
        self.probabilities: npt.NDArray[np.float64] | None = None
        self.sample_seconds = 0.0
        self.convert_seconds = 0.0

    def sampled(self, state: Any, bits: list[int], shots: float) -> None:
        """A leaf that stands for ``shots`` shots."""
        began = time.perf_counter()
        rows = slice(self._row, self._row + int(shots))
        self._row = rows.stop
        if any(bits):
            self.samples[rows] = bits
        final = self._program.final
        for chunk in self._chunks(rows) if final else ():
            drawn = state.sample([q for q, _ in final], chunk.stop - chunk.start, self._rng)
            self.samples[chunk, [c for _, c in final]] = drawn
        self.sample_seconds += time.perf_counter() - began
        if self._sampled_moments:
            self._add_moments(state, shots)

    def exact(self, state: Any, bits: list[int], weight: float) -> None:
        """A leaf of the given probability."""
        began = time.perf_counter()
        wants = self._request.wants
        if "probabilities" in wants:
            part = weight * state.probabilities()
            self.probabilities = part if self.probabilities is None else self.probabilities + part
        if "density_matrix" in wants:
            rho = state.density_matrix()
            if not isinstance(state, DensityMatrix) or weight != 1:
                rho = rho * rho.dtype.type(weight)
            self.density_matrix = rho if self.density_matrix is None else self.density_matrix + rho
        if "statevector" in wants:
            self.statevector = state.statevector()
        if "expectation" in wants and not self._sampled_moments:
            self._add_moments(state, weight)
        self.convert_seconds += time.perf_counter() - began

    def shuffle(self) -> None:
        """Puts the samples in random order: the leaves come in the order of their outcomes."""
        self._rng.shuffle(self.samples, axis=0)

    def expectations(self) -> tuple[Expectation, ...]:
        """Value, variance of the observable, and standard error where trajectories were sampled."""
        if "expectation" not in self._request.wants:
            return ()
        shots = self._request.shots if self._sampled_moments else None
        out = []
        for observable, (first, second, squared) in zip(self._request.observables, self._moments.tolist(), strict=True):
            total = shots or 1
            value = first / total
            error = math.sqrt(max(squared / total - value**2, 0.0) / max(total - 1, 1)) if shots else 0.0
            out.append(Expectation(str(observable), value, max(second / total - value**2, 0.0), error))
        return tuple(out)

    def counts(self) -> dict[str, int]:
        """Counts of the samples, highest classical bit first, in ascending order."""
        total: Counter[str] = Counter()
        chunks = list(self._chunks(slice(0, len(self.samples))))
        for chunk in chunks:
            total.update(counts_from_samples(self.samples[chunk]))
        return dict(sorted(total.items()) if len(chunks) > 1 else total)

    def _chunks(self, rows: slice) -> Iterator[slice]:
        """The rows in pieces of a fraction of a second's work."""
        bits = self._program.num_qubits * max(len(self._program.final), 1)
        size = max(1, min(2**20, 10**8 // bits))
        for start in range(rows.start, rows.stop, size):
            self._check()
            yield slice(start, min(start + size, rows.stop))

    def _add_moments(self, state: Any, weight: float) -> None:
        for row, observable in enumerate(self._request.observables):
            first, second = moments(state, observable, self._check)
            self._moments[row] += weight * np.array((first, second, first**2))
