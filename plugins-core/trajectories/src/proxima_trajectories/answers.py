"""What a request wants, gathered from the ends of its circuit."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.result import Expectation, counts_from_samples
from proxima_trajectories.walk import End


class Answers:
    """The fields of a `RunResult`, added up end by end.

    Args:
        request: What is wanted, of a circuit without open parameters.
        rng: Draws the final measurements' outcomes.
        context: Asked between two pieces of work whether to go on.
        shots: How many trajectories there are, where the ends are those of shots alone; expectation values are then
            means over them. 0 where every way is followed.

    Attributes:
        seconds: Spent in ``sample`` and in ``convert``.
    """

    def __init__(self, request: RunRequest, rng: np.random.Generator, context: RunContext, *, shots: int = 0) -> None:
        self._request, self._rng, self._context, self._shots = request, rng, context, shots
        self._wants = frozenset(request.wants)
        self._observables = request.observables if "expectation" in self._wants else ()
        # The mean, the mean of an end's square, and the mean of the observable's square.
        self._moments = np.zeros((len(self._observables), 3))
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._samples: list[npt.NDArray[np.uint8]] = []
        self.seconds = {"sample": 0.0, "convert": 0.0}

    def add(self, end: End) -> None:
        """Takes one end into account."""
        began = time.perf_counter()
        share = end.shots / self._shots if self._shots else end.weight
        for row, observable in zip(self._moments, self._observables, strict=True):
            value, square = end.state.moments(observable, self._context.check)
            row += share * np.array([value, value**2, np.nan if square is None else square])
        if "statevector" in self._wants:
            self._arrays["statevector"] = end.state.amplitudes()
        if "density_matrix" in self._wants:
            self._add("density_matrix", share * end.state.density())
        if "probabilities" in self._wants:
            self._add("probabilities", share * end.state.probabilities())
        converted = time.perf_counter()
        self.seconds["convert"] += converted - began
        if end.shots and self._wants & {"counts", "samples"}:
            bits = np.tile(np.array(end.bits, dtype=np.uint8), (end.shots, 1))
            if final := self._request.circuit.final_measurements:
                drawn = end.state.sample(end.shots, self._rng, self._context.check)
                for qubit, clbit in final:
                    bits[:, clbit] = (drawn >> qubit) & 1
            self._samples.append(bits)
            self.seconds["sample"] += time.perf_counter() - converted

    def _add(self, name: str, part: npt.NDArray[Any]) -> None:
        if name in self._arrays:
            self._arrays[name] += part
        else:
            self._arrays[name] = part

    def fields(self) -> dict[str, Any]:
        """The fields that are wanted."""
        began = time.perf_counter()
        out: dict[str, Any] = dict(self._arrays)
        if self._samples:
            samples = np.concatenate(self._samples)
            if len(self._samples) > 1:  # so that the order of shots says nothing of the way they went
                samples = samples[self._rng.permutation(len(samples))]
            if "counts" in self._wants:
                out["counts"] = counts_from_samples(samples)
            if "samples" in self._wants:
                out["samples"] = samples
        out["expectations"] = tuple(
            self._expectation(str(observable), *row)
            for observable, row in zip(self._observables, self._moments.tolist(), strict=True)
        )
        self.seconds["convert"] += time.perf_counter() - began
        return out

    def _expectation(self, name: str, value: float, spread: float, square: float) -> Expectation:
        error = 0.0
        if self._shots:
            error = float(np.sqrt(max(spread - value**2, 0.0) / (self._shots - 1))) if self._shots > 1 else math.inf
        return Expectation(name, value, None if np.isnan(square) else max(square - value**2, 0.0), error)
