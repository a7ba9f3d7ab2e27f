"""Which method a request takes, and what it costs. Nothing here needs the engine."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features
from proxima.contracts.methods import method_asked
from proxima.contracts.operations import GATES, Op
from proxima.errors import UnsupportedError
from proxima_trajectories.walk import partings_of, waiting_states

METHODS = ("automatic", "statevector", "density_matrix", "trajectories")

MAX_MIXED_QUBITS = 11
"""An operation of default.mixed on 12 qubits takes seconds, and a run must be able to stop within one."""

MAX_PARTINGS = 10
"""Measurements and resets on the way that exact answers follow: the ends are twice as many with each."""

DRAWN = frozenset({"counts", "samples", "expectation"})
"""What trajectories give."""

MAX_STATE_QUBITS = 33  # 2^33 amplitudes of complex64 are 64 GiB
_CACHE = 1 << 24  # bytes; a larger state is read from memory at every pass

# Passes over the state by operation, one where it is not named: by kernels that memory bounds, and by the slow ones,
# which take the same time in either precision.
_PASSES = {
    **dict.fromkeys((Op.S, Op.SDG, Op.T, Op.TDG, Op.P, Op.CX, Op.SWAP), 0.5),
    **dict.fromkeys((Op.CY, Op.CH, Op.CSX, Op.CRX, Op.CRY, Op.CRZ, Op.CP, Op.CCX, Op.CCZ, Op.CSWAP, Op.ISWAP), 0.0),
    **dict.fromkeys((Op.ID, Op.UNITARY), 0.0),
    **dict.fromkeys((Op.U, Op.R), 1.4),
    Op.CZ: 0.35,
    Op.CU: 0.5,
    Op.RZX: 3.0,
    Op.ECR: 4.0,
}
_SLOW_PASSES = {
    **dict.fromkeys((Op.CY, Op.CP, Op.CCX, Op.CCZ, Op.CSWAP), 3.0),
    **dict.fromkeys((Op.CH, Op.CSX, Op.CRX, Op.CRY, Op.CRZ, Op.ISWAP), 4.2),
    Op.CU: 10.0,
}
_LOOKED_AT = (Op.KRAUS, Op.AMPLITUDE_DAMPING, Op.GENERALIZED_AMPLITUDE_DAMPING, Op.PHASE_DAMPING)
_MATRIX = (0.0, 1.5, 34.0)  # slow passes of a matrix on so many qubits; each qubit more trebles them
# default.mixed over its operators: one pass is a unitary on one qubit.
_MIXED_PASSES = {Op.DEPOLARIZING2: 64.0, Op.KRAUS: 16.0}


@dataclass(frozen=True, slots=True)
class Choice:
    """How a request is run.

    Attributes:
        mixed: On a density matrix rather than a statevector.
        partings: Measurements and resets on the way.
        exact: Whether an answer needs every end of the circuit, not only those that shots reach.
        sampled: Whether noise is drawn, a trajectory for each shot.
    """

    mixed: bool
    partings: int
    exact: bool
    sampled: bool

    @property
    def method(self) -> str:
        """Its name."""
        return "density_matrix" if self.mixed else "trajectories" if self.sampled else "statevector"


def choose(request: RunRequest) -> Choice:
    """The method for a request.

    Raises:
        UnsupportedError: No method can do it, or not the one that was asked for.
        UsageError: The request makes no sense.
    """
    circuit, wants = request.circuit, set(request.wants)
    asked = method_asked(request, "pennylane", METHODS)
    large = circuit.num_qubits > MAX_MIXED_QUBITS
    sampled = asked == "trajectories" or (
        asked == "automatic" and circuit.has_noise and wants <= DRAWN and (large or "expectation" not in wants)
    )
    mixed = asked == "density_matrix" or (circuit.has_noise and not sampled)
    partings = partings_of(circuit)
    exact = bool(wants & {"density_matrix", "probabilities", "expectation", "statevector"})
    if "statevector" in wants and (circuit.has_noise or circuit.is_dynamic):
        raise UnsupportedError(
            "a circuit with noise, resets, conditions or measurements in the middle has no statevector",
            hint="ask for density_matrix",
        )
    if mixed and (refused := sorted({"statevector", "gradient"} & wants)):
        raise UnsupportedError(
            f"{' and '.join(refused)}: not by the method density_matrix, which noise takes",
            hint="gradients under noise are computed from expectation values at shifted angles",
        )
    if "gradient" in wants and circuit.is_dynamic:
        raise UnsupportedError("gradient: the adjoint method takes no resets, conditions or measurements on the way")
    if circuit.has_noise and asked == "statevector":
        raise UnsupportedError("the method statevector does not simulate noise", hint="leave the method out")
    if mixed and large:
        raise UnsupportedError(
            f"{circuit.num_qubits} qubits are too many for a density matrix (at most {MAX_MIXED_QUBITS})",
            hint="ask for counts, samples or expectation alone, which trajectories give",
        )
    if sampled and not wants <= DRAWN:
        raise UnsupportedError(
            f"trajectories do not give {' and '.join(sorted(wants - DRAWN))}", hint="leave the method out"
        )
    if circuit.num_qubits > MAX_STATE_QUBITS:
        raise UnsupportedError(f"{circuit.num_qubits} qubits are too many for a statevector (at most 33)")
    if exact and not sampled and partings > MAX_PARTINGS:
        raise UnsupportedError(
            f"exact answers about a circuit with {partings} measurements or resets on the way (at most {MAX_PARTINGS})",
            hint="ask for counts",
        )
    return Choice(mixed, partings, exact and not sampled, sampled)


def shots_of(request: RunRequest, choice: Choice) -> int:
    """How many shots are drawn: 1024 trajectories where only expectation values are wanted without any."""
    if choice.sampled:
        return request.shots or 1024
    return request.shots or 0 if {"counts", "samples"} & set(request.wants) else 0


def work(request: RunRequest, features: Features, choice: Choice) -> dict[str, float]:
    """The request's cost.

    Units: ``run``; ``gate``; ``amplitude`` and ``wide_amplitude``, passed over once in single and in double precision,
    ``far_byte`` where the state exceeds the cache, ``slow_amplitude`` by a slow kernel; ``mixed_gate`` and ``element``
    of default.mixed, ``pennylane`` for importing it; ``read`` and ``draw``.
    """
    f, wants, size = features, set(request.wants), 2.0**features.num_qubits
    shots = shots_of(request, choice)
    # Ends part half way through, on average, and not all that could are there.
    ends = min(2.0 ** min(choice.partings, 40), max(float(shots), 2.0**MAX_PARTINGS if choice.exact else 1.0))
    if choice.sampled:
        others = f.noise_weight + 0.1 * f.ops.get(Op.KRAUS, 0) + choice.partings
        ends = max(1.0, shots * -math.expm1(-others))
    followed = 1 + (ends - 1) / 2
    out = {"run": 1.0}
    if choice.mixed:
        heavy = sum(weight * f.ops.get(op, 0) for op, weight in _MIXED_PASSES.items())
        plain = f.num_gates + f.noise_sites - f.ops.get(Op.DEPOLARIZING2, 0) - f.ops.get(Op.KRAUS, 0)
        out["element"] = (plain + 3 * f.gates_2q + 8 * f.gates_many + heavy) * followed * size**2
        out["mixed_gate"] = (f.num_gates + f.noise_sites + heavy / 4) * followed
        if "pennylane" not in sys.modules:
            out["pennylane"] = 1.0
    else:
        out["gate"] = f.num_operations * followed
        if "gradient" in wants:
            # A product undoes each gate on two states and compares them; what precedes it is undone on both.
            followed *= 1 + 5 * len(request.observables)
            out["gate"] *= 1 + 2 * len(request.observables)
        light = sum(_PASSES.get(op, 1.0) * count for op, count in f.ops.items() if op in GATES) * followed * size
        item = 16 if request.precision == "double" else 8
        if item * size * (1 + 2 * ("gradient" in wants)) > _CACHE:
            # A slow kernel touches the whole state, too, however little of it it changes.
            slow = sum(f.ops.get(op, 0) for op in (*_SLOW_PASSES, Op.UNITARY))
            out["far_byte"] = (light + slow * followed * size) * item
        else:
            out["wide_amplitude" if item == 16 else "amplitude"] = light
        out["slow_amplitude"] = _slow_passes(request.circuit, f) * followed * size
    reads = bool(wants & {"probabilities", "statevector"}) + 8 * bool(shots)
    terms = sum(len(o.terms) for o in request.observables) * (
        ("expectation" in wants) * (2 if choice.mixed else 1) + ("gradient" in wants)
    )
    reading = size**2 if choice.mixed else size
    if choice.sampled:  # a channel whose ways depend on the state looks at it
        out["read"] = 8 * size * followed * sum(f.ops.get(op, 0) for op in _LOOKED_AT)
        out["gate"] += 5 * followed * f.noise_sites
    out["read"] = out.get("read", 0.0) + ends * ((reads + 4 * choice.partings) * size + 8 * terms * reading)
    if "density_matrix" in wants:
        out["read"] += 2 * ends * size**2
    if shots:
        out["draw"] = float(shots * (1 + f.num_measurements))
    return {unit: amount for unit, amount in out.items() if amount}


def _slow_passes(circuit: Circuit, f: Features) -> float:
    passes = sum(each * f.ops.get(op, 0) for op, each in _SLOW_PASSES.items())
    if f.ops.get(Op.UNITARY):
        c = circuit.columns
        for qubits in np.diff(c.qubit_offsets)[c.ops == Op.UNITARY].tolist():
            passes += _MATRIX[min(qubits, 2)] * 3.0 ** max(qubits - 2, 0)
    return passes


def memory(request: RunRequest, choice: Choice) -> int:
    """Peak bytes on top of the engine."""
    n, wants, shots = request.circuit.num_qubits, set(request.wants), shots_of(request, choice)
    item = 16 if request.precision == "double" else 8
    if choice.mixed:
        # einsum needs its result and a moved copy beside the state; each parting keeps one more.
        total: int = 16 * 4**n * (4 + choice.partings + 3 * ("expectation" in wants))
    else:
        # Lightning's own state and a copy of it; an observable takes indices, signs, weights and the moved state.
        waiting = waiting_states(shots, 4) if choice.sampled else min(choice.partings, 30)
        states = 2 + math.ceil(waiting) + bool(wants - {"counts", "samples"}) + 3 * ("gradient" in wants)
        total = item * 2**n * states + 16 * 2**n * bool(shots or "probabilities" in wants)
        if wants & {"expectation", "gradient"}:
            total += (25 + 3 * item) * 2**n
        if "density_matrix" in wants:
            total += 2 * item * 4**n
    if shots:
        total += shots * (2 * request.circuit.num_clbits + 16)
    return total
