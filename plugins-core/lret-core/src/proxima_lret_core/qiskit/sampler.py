"""`LowRankSampler`: the V2 sampler primitive on the low-rank simulator."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.primitives import BaseSamplerV2, BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub, SamplerPubLike

from proxima.contracts.backend import RunContext
from proxima_lret_core.qiskit.engine import Engine, SamplingEngine
from proxima_lret_core.qiskit.jobs import PrimitiveJob
from proxima_lret_core.qiskit.simulation import DEFAULT_TOLERANCE, Simulation
from proxima_lret_core.simulation import run


class LowRankSampler(BaseSamplerV2):  # type: ignore[misc]  # Qiskit carries no types
    """Samples circuits with and without noise; the metadata of each pub has the certified bound.

    Args:
        engine: What runs circuits.
        sampling: What runs them where it may know how many shots are wanted; by default ``engine``.
        default_shots: Where neither a pub nor `run` says.
        seed: A number gives the same samples in each run.
        noise_model: Qiskit Aer's or Proxima's, or its shorthand or file.
        tolerance: The trace distance to the exact state that is accepted.
        engine_options: Further keyword arguments of the engine, e.g. ``{"precision": "double"}``.
        threads: The most that are used.
    """

    def __init__(
        self,
        engine: Engine = run,
        *,
        sampling: SamplingEngine | None = None,
        default_shots: int = 1024,
        seed: np.random.Generator | int | None = None,
        noise_model: object = None,
        tolerance: float = DEFAULT_TOLERANCE,
        engine_options: Mapping[str, Any] | None = None,
        threads: int = 1,
    ) -> None:
        self._simulation = Simulation.of(engine, sampling, noise_model, tolerance, engine_options)
        self._default_shots = default_shots
        self._seed = seed
        self._threads = threads

    def run(self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None) -> PrimitiveJob:
        """Starts sampling.

        Args:
            pubs: Circuits, or tuples of a circuit, parameter values and shots.
            shots: For pubs that do not say.
        """
        coerced = [SamplerPub.coerce(pub, self._default_shots if shots is None else shots) for pub in pubs]

        if any(not pub.circuit.cregs for pub in coerced):
            warnings.warn("a circuit has no classical register, so its result is empty: measure it", stacklevel=2)

        def work(context: RunContext) -> PrimitiveResult:
            rng = np.random.default_rng(self._seed)
            return PrimitiveResult([self._pub(pub, rng, context) for pub in coerced], metadata={"version": 2})

        return PrimitiveJob(work, self._threads)

    def _pub(self, pub: SamplerPub, rng: np.random.Generator, context: RunContext) -> SamplerPubResult:
        circuits = pub.parameter_values.bind_all(pub.circuit)
        bounds = np.zeros(circuits.shape)
        samples = np.zeros((*circuits.shape, pub.shots, pub.circuit.num_clbits), dtype=np.uint8)
        for index in np.ndindex(circuits.shape):
            samples[index], state = self._simulation.samples(circuits[index], pub.shots, rng, context)
            bounds[index] = state.bound
        return SamplerPubResult(
            DataBin(**_registers(pub.circuit, samples), shape=pub.shape),
            metadata={
                "shots": pub.shots,
                "circuit_metadata": pub.circuit.metadata,
                "trace_distance_bound": float(bounds.max(initial=0.0)),
                "trace_distance_bounds": bounds,
                "tolerance": self._simulation.tolerance,
            },
        )


def _registers(circuit: QuantumCircuit, samples: npt.NDArray[np.uint8]) -> dict[str, BitArray]:
    """The bits of each classical register, the lowest in the lowest place."""
    out = {}
    for register in circuit.cregs:
        highest_first = [circuit.find_bit(bit).index for bit in reversed(list(register))]
        padding = np.zeros((*samples.shape[:-1], -register.size % 8), dtype=np.uint8)
        bits = np.concatenate([padding, samples[..., highest_first]], axis=-1)
        out[register.name] = BitArray(np.packbits(bits, axis=-1), register.size)
    return out
