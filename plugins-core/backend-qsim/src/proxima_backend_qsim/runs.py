"""One run of a plan: the engine's states turned into what the request wants."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.observable import PauliSum
from proxima.contracts.result import Expectation, counts_from_samples
from proxima_backend_qsim import sampling
from proxima_backend_qsim.costs import shots_of
from proxima_backend_qsim.density import DensityProgram
from proxima_backend_qsim.engine import Engine, State
from proxima_backend_qsim.gates import Gate
from proxima_backend_qsim.trajectories import Program, trajectories


@dataclass(frozen=True, slots=True)
class Native:
    """What a plan holds: the compiled pieces of a statevector run, or the programs of the other methods."""

    engine: Engine
    num_operations: int
    pieces: list[Any]
    density: DensityProgram | None
    program: Program | None


class Clock:
    """Adds up seconds by stage."""

    def __init__(self, start: Mapping[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = dict(start or {})

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Counts the time spent inside towards a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin


class Run:
    """One run.

    Attributes:
        answers: Fields of the `RunResult`.
    """

    def __init__(self, native: Native, request: RunRequest, context: RunContext, clock: Clock) -> None:
        self._native = native
        self._request = request
        self._context = context
        self._clock = clock
        self._engine = native.engine.with_threads(context.threads)
        self._rng = np.random.default_rng(request.seed)
        self._wants = frozenset(request.wants)
        self._sampled = bool(self._wants & {"counts", "samples"})
        self._observables = request.observables if "expectation" in self._wants else ()
        self.answers: dict[str, Any] = {}

    def go(self) -> dict[str, Any]:
        """Runs by whatever method the plan holds."""
        if self._native.density is not None:
            self._density_matrix(self._native.density)
        if self._native.program is not None:
            self._trajectories(self._native.program)
        elif self._native.density is None:
            self._statevector()
        return self.answers

    def _statevector(self) -> None:
        with self._clock.of("execute"):
            state = self._engine.run(self._native.pieces, None, self._context, report=True)
            self._exact(state, self._engine, None)
        if self._sampled:
            with self._clock.of("sample"):
                bits = self._zero_bits()
                self._measure(bits, slice(None), sampling.sample_state(state, len(bits), self._rng))
            self._count(bits)
        with self._clock.of("convert"):
            if "probabilities" in self._wants:
                self.answers["probabilities"] = sampling.probabilities(state)
            if "density_matrix" in self._wants:
                self.answers["density_matrix"] = np.outer(state, state.conj())
            if "statevector" in self._wants:
                self.answers["statevector"] = state

    def _density_matrix(self, density: DensityProgram) -> None:
        dimension = 2**self._request.circuit.num_qubits
        with self._clock.of("execute"):
            vector = density.run(self._context)
            self._exact(vector, density.engine.with_threads(self._context.threads), dimension)
        diagonal = np.maximum(vector[:: dimension + 1].real.astype(np.float64), 0.0)
        if self._sampled and self._native.program is None:
            with self._clock.of("sample"):
                bits = self._zero_bits()
                self._measure(bits, slice(None), sampling.sample_weights(diagonal, len(bits), self._rng))
            self._count(bits)
        with self._clock.of("convert"):
            if "probabilities" in self._wants:
                self.answers["probabilities"] = diagonal / diagonal.sum()
            if "density_matrix" in self._wants:
                # The columns are the more significant half of the vector's index.
                self.answers["density_matrix"] = vector.reshape(dimension, dimension).T

    def _trajectories(self, program: Program) -> None:
        observables = self._observables if self._native.density is None else ()
        bits = self._zero_bits()
        sums = np.zeros((len(observables), 3))
        with self._clock.of("execute"):
            for shots, state in trajectories(program, self._engine, bits, self._rng, self._context):
                if self._sampled:
                    self._measure(bits, shots, sampling.sample_state(state, len(shots), self._rng))
                for row, observable in zip(sums, observables, strict=True):
                    value, square = self._moments(observable, state, self._engine, None)
                    row += len(shots) * np.array([value, value**2, square])
        if observables:
            self.answers["expectations"] = tuple(
                _expectation(o, value, square, float(np.sqrt(max(spread - value**2, 0.0) / len(bits))))
                for o, (value, spread, square) in zip(observables, (sums / len(bits)).tolist(), strict=True)
            )
        if self._sampled:
            self._count(bits)

    def _exact(self, state: State, engine: Engine, dimension: int | None) -> None:
        """Expectation values in a statevector, or in a density matrix of the given dimension."""
        if self._observables:
            self.answers["expectations"] = tuple(
                _expectation(o, *self._moments(o, state, engine, dimension)) for o in self._observables
            )

    def _moments(
        self, observable: PauliSum, state: State, engine: Engine, dimension: int | None
    ) -> tuple[float, float]:
        def apply(gates: list[Gate], to: State) -> State:
            return engine.apply(gates, to, self._context)

        return sampling.moments(observable, state, apply, dimension)

    def _zero_bits(self) -> npt.NDArray[np.uint8]:
        return np.zeros((shots_of(self._request), self._request.circuit.num_clbits), dtype=np.uint8)

    def _measure(self, bits: npt.NDArray[np.uint8], shots: Any, basis_states: sampling.Indices) -> None:
        """Writes the final measurements' outcomes into the rows ``shots`` of ``bits``."""
        for qubit, clbit in self._request.circuit.final_measurements:
            bits[shots, clbit] = (basis_states >> qubit) & 1

    def _count(self, bits: npt.NDArray[np.uint8]) -> None:
        with self._clock.of("convert"):
            if "counts" in self._wants:
                self.answers["counts"] = counts_from_samples(bits)
            if "samples" in self._wants:
                self.answers["samples"] = bits


def _expectation(observable: PauliSum, value: float, square: float, standard_error: float = 0.0) -> Expectation:
    return Expectation(str(observable), value, max(square - value**2, 0.0), standard_error)
