"""`LowRankEstimator`: the V2 estimator primitive on the low-rank simulator."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub, EstimatorPubLike

from proxima.contracts.backend import RunContext
from proxima.errors import UsageError
from proxima_lret_core.qiskit.engine import Engine
from proxima_lret_core.qiskit.jobs import PrimitiveJob
from proxima_lret_core.qiskit.simulation import DEFAULT_TOLERANCE, Simulated, Simulation
from proxima_lret_core.simulation import run

_FINEST = 1e-9  # the number of samples is then 10^18
_PROJECTORS = {"0": ("Z", 1), "1": ("Z", -1), "+": ("X", 1), "-": ("X", -1), "r": ("Y", 1), "l": ("Y", -1)}


class LowRankEstimator(BaseEstimatorV2):  # type: ignore[misc]  # Qiskit carries no types
    """Expectation values of circuits with and without noise, each with a certified bound in the metadata.

    Without a precision they are those of the simulated state, and ``stds`` is 0. With one, each Pauli string is
    measured ceil(1 / precision^2) times on its own, and ``stds`` is the standard error of that. Readout errors of the
    noise model enter where the circuit acts on what it measured, not in these measurements.

    Args:
        engine: What runs circuits.
        default_precision: Where neither a pub nor `run` says.
        seed: A number gives the same draws in each run.
        noise_model: Qiskit Aer's or Proxima's, or its shorthand or file.
        tolerance: The trace distance to the exact state that is accepted.
        engine_options: Further keyword arguments of the engine, e.g. ``{"precision": "double"}``.
        threads: The most that are used.
    """

    def __init__(
        self,
        engine: Engine = run,
        *,
        default_precision: float = 0.0,
        seed: np.random.Generator | int | None = None,
        noise_model: object = None,
        tolerance: float = DEFAULT_TOLERANCE,
        engine_options: Mapping[str, Any] | None = None,
        threads: int = 1,
    ) -> None:
        self._simulation = Simulation.of(engine, None, noise_model, tolerance, engine_options)
        self._default_precision = default_precision
        self._seed = seed
        self._threads = threads

    def run(self, pubs: Iterable[EstimatorPubLike], *, precision: float | None = None) -> PrimitiveJob:
        """Starts estimating.

        Args:
            pubs: Tuples of a circuit, observables, parameter values and a precision; observables and parameter values
                are broadcast against each other.
            precision: The standard error of a Pauli string for pubs that do not say; 0 for no sampling.

        Raises:
            UsageError: A precision is no number, or too fine for sampling.
        """
        coerced = [EstimatorPub.coerce(p, self._default_precision if precision is None else precision) for p in pubs]
        for pub in coerced:
            if pub.precision and not _FINEST <= pub.precision < math.inf:
                raise UsageError(
                    f"a precision of {pub.precision} makes no sense", hint=f"0, or a standard error from {_FINEST}"
                )

        def work(context: RunContext) -> PrimitiveResult:
            rng = np.random.default_rng(self._seed)
            return PrimitiveResult([self._pub(pub, rng, context) for pub in coerced], metadata={"version": 2})

        return PrimitiveJob(work, self._threads)

    def _pub(self, pub: EstimatorPub, rng: np.random.Generator, context: RunContext) -> PubResult:
        circuits = pub.parameter_values.bind_all(pub.circuit)
        numbers = np.arange(circuits.size).reshape(circuits.shape)  # so that each circuit is run once
        which, observables = np.broadcast_arrays(numbers, np.asarray(pub.observables))
        evs, stds, bounds = (np.zeros(which.shape) for _ in range(3))
        shots = math.ceil(pub.precision**-2) if pub.precision else 0
        for number, circuit in enumerate(circuits.reshape(-1)):
            simulated = self._simulation.state(circuit, context)
            for index in zip(*np.nonzero(which == number), strict=True) if which.ndim else [()]:
                strings = _pauli_strings(observables[index])
                evs[index], stds[index] = _estimate(simulated, strings, shots, rng)
                # The expectation value of a Pauli string is off by at most twice the trace distance.
                weight = sum(abs(c) for letters, c in strings.items() if set(letters) != {"I"})
                bounds[index] = 2 * simulated.bound * weight
        return PubResult(
            DataBin(evs=evs, stds=stds, shape=evs.shape),
            metadata={
                "target_precision": pub.precision,
                "circuit_metadata": pub.circuit.metadata,
                "bounds": bounds,
                "tolerance": self._simulation.tolerance,
            },
        )


def _estimate(
    simulated: Simulated, strings: Mapping[str, float], shots: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The value and its standard error; exactly, as far as the state goes, where there are no shots."""
    value = variance = 0.0
    for letters, coefficient in strings.items():
        exact = min(1.0, max(-1.0, simulated.expectation(letters)))
        if not shots:
            value += coefficient * exact
            continue
        drawn = 2 * rng.binomial(shots, (1 + exact) / 2) / shots - 1
        value += coefficient * drawn
        variance += coefficient**2 * (1 - drawn**2) / shots
    return value, math.sqrt(variance)


def _pauli_strings(observable: Mapping[str, float]) -> dict[str, float]:
    """An observable's terms with projectors, such as ``0`` for (I + Z) / 2, multiplied out."""
    out: dict[str, float] = {}
    for letters, coefficient in observable.items():
        choices = []
        for letter in letters:
            pauli, sign = _PROJECTORS.get(letter, (letter, 0))
            choices.append([("I", 0.5), (pauli, 0.5 * sign)] if sign else [(pauli, 1.0)])
        for parts in itertools.product(*choices):
            string = "".join(part for part, _ in parts)
            out[string] = out.get(string, 0.0) + float(coefficient) * math.prod(factor for _, factor in parts)
    return out
