"""Which method a request takes, and what it costs, in time, in device memory and in the host's. Touches no device."""

from __future__ import annotations

import math
from dataclasses import dataclass

from proxima.contracts.backend import RunRequest
from proxima.contracts.features import Features
from proxima.contracts.methods import method_asked
from proxima.contracts.operations import Op
from proxima.contracts.parameter_shift import shifts_of
from proxima.errors import UnsupportedError
from proxima_backend_cuquantum.gates import FUSED_QUBITS
from proxima_trajectories.walk import partings_of
from proxima_trajectories.walk import waiting_states

METHODS = ("automatic", "statevector", "trajectories")
OFFERED = frozenset({"counts", "samples", "probabilities", "statevector", "expectation", "gradient"})
DRAWN = frozenset({"counts", "samples", "expectation"})

MAX_QUBITS = 36
"""2^36 amplitudes of complex64 are 512 GiB: more than one GPU has."""

MAX_PARTINGS = 10
"""Measurements and resets on the way that exact answers follow: the ends are twice as many with each."""

FUSED_FROM = 22
"""From so many qubits on, a pass over the state takes longer than fusing a gate into another does here."""

BATCH = 1 << 30
"""Bytes of device memory for the statevectors of a batch."""

WORKSPACE = 1 << 28
"""Bytes of device memory that the libraries take for themselves."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a request is run.

    Attributes:
        partings: Measurements and resets on the way.
        exact: Whether an answer needs every end of the circuit.
        sampled: Whether noise is drawn, a trajectory for each shot.
    """

    partings: int
    exact: bool
    sampled: bool

    @property
    def method(self) -> str:
        """Its name."""
        return "trajectories" if self.sampled else "statevector"


def choose(request: RunRequest) -> Choice:
    """The method for a request.

    Raises:
        UnsupportedError: No method can do it, or not the one that was asked for.
        UsageError: The request makes no sense.
    """
    circuit, wants = request.circuit, set(request.wants)
    if refused := sorted(wants - OFFERED):
        raise UnsupportedError(f"cuquantum does not give {' and '.join(refused)}", hint="use another backend")
    asked = method_asked(request, "cuquantum", METHODS)
    if circuit.num_qubits > MAX_QUBITS:
        raise UnsupportedError(
            f"{circuit.num_qubits} qubits are too many for the memory of one GPU (at most {MAX_QUBITS})",
            hint="use a backend that does not hold the whole state",
        )
    if (circuit.has_noise or circuit.is_dynamic) and "statevector" in wants:
        raise UnsupportedError(
            "a circuit with noise, resets, conditions or measurements in the middle has no statevector",
            hint="ask for probabilities or expectation",
        )
    if (circuit.has_noise or circuit.is_dynamic) and "gradient" in wants:
        raise UnsupportedError("gradient: a batch takes no noise, resets, conditions or measurements on the way")
    if circuit.has_noise and asked == "statevector":
        raise UnsupportedError("the method statevector does not simulate noise", hint="leave the method out")
    sampled = circuit.has_noise or asked == "trajectories"
    if sampled and not wants <= DRAWN:
        raise UnsupportedError(
            f"trajectories, which noise takes, do not give {' and '.join(sorted(wants - DRAWN))}",
            hint="ask for counts, samples or expectation",
        )
    partings = partings_of(circuit)
    exact = not sampled and bool(wants & {"probabilities", "expectation", "statevector", "gradient"})
    if exact and partings > MAX_PARTINGS:
        raise UnsupportedError(
            f"exact answers about a circuit with {partings} measurements or resets on the way (at most {MAX_PARTINGS})",
            hint="ask for counts",
        )
    return Choice(partings, exact, sampled)


def shots_of(request: RunRequest, choice: Choice) -> int:
    """How many shots are drawn: 1024 trajectories where only expectation values are wanted without any."""
    if choice.sampled:
        return request.shots or 1024
    return request.shots or 0 if {"counts", "samples"} & set(request.wants) else 0


def work(request: RunRequest, features: Features, choice: Choice) -> dict[str, float]:
    """The request's cost in the units ``run gate launch byte read draw``: ``byte`` is of device memory passed over."""
    f, size = features, float(state_bytes(request))
    shots = shots_of(request, choice)
    ends = min(2.0 ** min(choice.partings, 40), max(float(shots), 2.0**MAX_PARTINGS if choice.exact else 1.0))
    if choice.sampled:
        others = f.noise_weight + 0.1 * f.ops.get(Op.KRAUS, 0) + choice.partings
        ends = max(1.0, shots * -math.expm1(-others))
    followed = 1 + (ends - 1) / 2  # ends part half way through, on average
    gates = float(f.num_gates)
    if f.num_qubits >= FUSED_FROM:
        gates = f.gates_many + f.gates_2q / (FUSED_QUBITS - 1) + min(f.gates_1q / FUSED_QUBITS, f.num_qubits)
    launches = (gates + f.noise_sites + 3 * choice.partings) * followed
    shifted = sum(1 for _ in shifts_of(request.circuit)) if "gradient" in request.wants else 0
    out = {"run": 1.0, "gate": float(f.num_operations), "launch": launches, "byte": 2 * (1 + shifted) * launches * size}
    out["launch"] += launches * math.ceil(shifted / batch_size(request))
    amplitudes = 2.0**f.num_qubits
    wants = set(request.wants)
    out["read"] = amplitudes * (bool(wants & {"statevector"}) + bool(wants & {"probabilities"}))
    terms = sum(len(observable.terms) for observable in request.observables)
    out["byte"] += ends * size * (2.0 * bool(shots) + terms * (("expectation" in wants) + shifted))
    if shots:
        out["draw"] = float(shots * (1 + f.num_measurements))
    return {unit: amount for unit, amount in out.items() if amount}


def state_bytes(request: RunRequest) -> int:
    """Of one statevector."""
    return int((16 if request.precision == "double" else 8) * 2**request.circuit.num_qubits)


def batch_size(request: RunRequest) -> int:
    """How many shifted statevectors of a gradient lie side by side: what a gigabyte takes, one at least."""
    return max(1, BATCH // state_bytes(request))


def device_bytes(request: RunRequest, choice: Choice) -> int:
    """Peak device memory: the states that wait for the others, sampling's sums, and what the libraries keep."""
    states = 1 + min(choice.partings, 30)
    if choice.sampled:
        states = 2 + math.ceil(waiting_states(shots_of(request, choice), 4))
    if "gradient" in request.wants:
        states += batch_size(request)
    sampling = state_bytes(request) // 2 if shots_of(request, choice) else 0
    return int(states * state_bytes(request) + sampling + WORKSPACE)


def host_bytes(request: RunRequest, choice: Choice) -> int:
    """Peak memory of the host on top of the imported engine."""
    wants, amplitudes = set(request.wants), 2**request.circuit.num_qubits
    total = state_bytes(request) * ("statevector" in wants) + 16 * amplitudes * ("probabilities" in wants)
    return int(total + shots_of(request, choice) * (2 * request.circuit.num_clbits + 16))
