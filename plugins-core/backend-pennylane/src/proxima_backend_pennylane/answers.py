"""What a request wants, gathered from the ends of its circuit."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.result import Expectation, counts_from_samples
from proxima_backend_pennylane.states import Probabilities, PureState
from proxima_backend_pennylane.walk import End

_SHOTS_AT_ONCE = 1 << 20  # drawn between two looks at the context


class Answers:
    """The fields of a `RunResult`, added up end by end.

    Args:
        request: What is wanted.
        rng: Draws the final measurements' outcomes.
        context: Asked between two pieces of work whether to go on.

    Attributes:
        seconds: Spent in ``sample`` and in ``convert``.
    """

    def __init__(self, request: RunRequest, rng: np.random.Generator, context: RunContext) -> None:
        self._request, self._rng, self._context = request, rng, context
        self._wants = frozenset(request.wants)
        self._observables = request.observables if "expectation" in self._wants else ()
        self._moments = np.zeros((len(self._observables), 2))
        self._probabilities: npt.NDArray[np.float64] | None = None
        self._density: npt.NDArray[Any] | None = None
        self._statevector: npt.NDArray[Any] | None = None
        self._samples: list[npt.NDArray[np.uint8]] = []
        self.seconds = {"sample": 0.0, "convert": 0.0}

    def add(self, end: End) -> None:
        """Takes one end into account."""
        began = time.perf_counter()
        wants, state = self._wants, end.state
        found = state.probabilities() if end.shots or "probabilities" in wants else None
        if found is not None and "probabilities" in wants:
            part = end.weight * found
            self._probabilities = part if self._probabilities is None else self._probabilities + part
        if "statevector" in wants and isinstance(state, PureState):
            self._statevector = state.amplitudes()
        if "density_matrix" in wants:
            rho = end.weight * state.density()
            self._density = rho if self._density is None else self._density + rho
        for row, observable in zip(self._moments, self._observables, strict=True):
            row += end.weight * np.array(state.moments(observable, self._context.check))
        converted = time.perf_counter()
        self.seconds["convert"] += converted - began
        if end.shots and found is not None:
            self._samples.append(self._drawn(end, found))
            self.seconds["sample"] += time.perf_counter() - converted

    def _drawn(self, end: End, probabilities: Probabilities) -> npt.NDArray[np.uint8]:
        """The classical bits of the end's shots."""
        bits = np.tile(np.array(end.bits, dtype=np.uint8), (end.shots, 1))
        edges = np.cumsum(probabilities)
        edges[-1] = max(edges[-1], 1.0)  # no draw lies beyond the last one that has a probability
        last = int(np.flatnonzero(probabilities)[-1])
        for start in range(0, end.shots, _SHOTS_AT_ONCE):
            self._context.check()
            part = bits[start : start + _SHOTS_AT_ONCE]
            drawn = np.minimum(np.searchsorted(edges, self._rng.random(len(part)), side="right"), last)
            for qubit, clbit in self._request.circuit.final_measurements:
                part[:, clbit] = (drawn >> qubit) & 1
        return bits

    def fields(self) -> dict[str, Any]:
        """The fields that are wanted."""
        began = time.perf_counter()
        out: dict[str, Any] = {}
        if self._samples:
            samples = np.concatenate(self._samples)
            if len(self._samples) > 1:  # so that the order of shots says nothing of the way they went
                samples = samples[self._rng.permutation(len(samples))]
            if "counts" in self._wants:
                out["counts"] = counts_from_samples(samples)
            if "samples" in self._wants:
                out["samples"] = samples
        if self._statevector is not None:
            out["statevector"] = self._statevector
        if self._density is not None:
            out["density_matrix"] = self._density
        if self._probabilities is not None:
            out["probabilities"] = self._probabilities
        out["expectations"] = tuple(
            Expectation(str(o), value, max(square - value**2, 0.0))
            for o, (value, square) in zip(self._observables, self._moments.tolist(), strict=True)
        )
        self.seconds["convert"] += time.perf_counter() - began
        return out
