"""Which method a request takes, and what it costs, in time, in device memory and in the host's. Touches no device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxima.contracts.backend import RunRequest
from proxima.contracts.features import Features, features_of
from proxima.contracts.methods import method_asked
from proxima.contracts.operations import Op
from proxima.contracts.parameter_shift import shifts_of
from proxima.errors import UnsupportedError
from proxima_backend_cuquantum.gates import FUSED_QUBITS
from proxima_trajectories.walk import partings_of, waiting_states

MPS = "matrix_product_state"
METHODS = ("automatic", "statevector", MPS, "trajectories")
OFFERED = frozenset({"counts", "samples", "probabilities", "statevector", "expectation", "gradient"})
DRAWN = frozenset({"counts", "samples", "expectation"})

MAX_QUBITS = 40
"""2^40 amplitudes of complex64 are 8 TiB: more than the GPUs of a machine have."""

MAX_MPS_QUBITS = 1000
MAX_BOND_BITS = 10.0
"""log2 of the largest bond dimension of a matrix product state, by its bound: nothing is cut off."""

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
        devices: Over how many GPUs the statevector is spread.
        bond_bits: Of a matrix product state, log2 of the bond dimension at most; ``None`` for a statevector.
    """

    partings: int
    exact: bool
    sampled: bool
    devices: int = 1
    bond_bits: float | None = None

    @property
    def method(self) -> str:
        """Its name."""
        if self.bond_bits is not None:
            return MPS
        return "trajectories" if self.sampled else "statevector"


def choose(request: RunRequest, free: Sequence[int] = ()) -> Choice:
    """The method for a request.

    A statevector that one GPU's memory does not take is spread over the fewest that do, two, four or eight of the
    first; where they do not either, a circuit with few bonds becomes a matrix product state.

    Args:
        request: What is to be run.
        free: Bytes of free memory of each GPU; empty where it is not known.

    Raises:
        UnsupportedError: No method can do it, or not the one that was asked for.
        UsageError: The request makes no sense.
    """
    circuit, wants = request.circuit, set(request.wants)
    if refused := sorted(wants - OFFERED):
        raise UnsupportedError(f"cuquantum does not give {' and '.join(refused)}", hint="use another backend")
    asked = method_asked(request, "cuquantum", METHODS)
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
    choice = Choice(partings, exact, sampled)
    whole = not (sampled or partings or circuit.is_dynamic or "gradient" in wants)  # one pure state, read at its end
    if asked == MPS:
        return _product(request, choice, whole)
    if circuit.num_qubits <= MAX_QUBITS:
        if not free or device_bytes(request, choice) <= free[0]:
            return choice
        spread = (replace(choice, devices=2**k) for k in range(1, 4) if whole and 2**k <= len(free))
        fitting = (each for each in spread if device_bytes(request, each) <= min(free[: each.devices]))
        if (found := next(fitting, None)) is not None:
            return found
    if asked == "automatic":
        try:
            return _product(request, choice, whole)
        except UnsupportedError as error:
            if circuit.num_qubits > MAX_QUBITS:
                raise UnsupportedError(
                    f"{circuit.num_qubits} qubits are too many for a statevector (at most {MAX_QUBITS}), and {error}",
                    hint="use a backend that does not hold the whole state",
                ) from error
            return choice  # which its memory refuses
    if circuit.num_qubits > MAX_QUBITS:
        raise UnsupportedError(
            f"{circuit.num_qubits} qubits are too many for the method {asked} (at most {MAX_QUBITS})"
        )
    return choice


def _product(request: RunRequest, choice: Choice, whole: bool) -> Choice:
    """A matrix product state, where it is exact."""
    circuit = request.circuit
    bond_bits = features_of(circuit).bond_bits
    if not whole:
        raise UnsupportedError(f"{MPS} takes gates and final measurements alone, and gives no gradients")
    if bond_bits > MAX_BOND_BITS:
        raise UnsupportedError(
            f"{MPS} takes a bond dimension of up to {2**MAX_BOND_BITS:.0f}, and this circuit may need 2^{bond_bits:.0f}"
        )
    if not 2 <= circuit.num_qubits <= MAX_MPS_QUBITS:
        raise UnsupportedError(f"{MPS} takes 2 to {MAX_MPS_QUBITS} qubits")
    if circuit.num_qubits > 30 and set(request.wants) & {"statevector", "probabilities"}:
        raise UnsupportedError(
            "statevector and probabilities have 2^n numbers: of at most 30 qubits", hint="ask for counts"
        )
    return replace(choice, bond_bits=bond_bits)


def shots_of(request: RunRequest, choice: Choice) -> int:
    """How many shots are drawn: 1024 trajectories where only expectation values are wanted without any."""
    if choice.sampled:
        return request.shots or 1024
    return request.shots or 0 if {"counts", "samples"} & set(request.wants) else 0


def work(request: RunRequest, features: Features, choice: Choice) -> dict[str, float]:
    """The request's cost in the manifest's units; a ``byte`` is one of device memory passed over."""
    f, size = features, float(state_bytes(request))
    shots = shots_of(request, choice)
    if choice.bond_bits is not None:
        return _product_work(request, f, choice.bond_bits, shots)
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


def _product_work(request: RunRequest, features: Features, bond_bits: float, shots: int) -> dict[str, float]:
    """That of a matrix product state; ``bond`` is the cube of a bond dimension, at a gate or a qubit read."""
    size, n = 2.0 ** (3 * bond_bits), features.num_qubits
    terms = sum(len(observable.terms) for observable in request.observables) * ("expectation" in request.wants)
    out = {"run": 1.0, "gate": float(features.num_operations), "launch": 8.0 * features.num_gates}
    out["bond"] = 2.0**features.bond_work + (terms + shots) * n * size
    if {"statevector", "probabilities"} & set(request.wants):
        out["read"] = 2.0**n
    return out


def number_bytes(request: RunRequest) -> int:
    """Of one complex number."""
    return 16 if request.precision == "double" else 8


def state_bytes(request: RunRequest) -> int:
    """Of one statevector."""
    return int(number_bytes(request) * 2**request.circuit.num_qubits)


def batch_of(request: RunRequest, choice: Choice, free: Sequence[int] = ()) -> int:
    """How many runs of a circuit, at other angles, lie side by side; 1 where the state parts or does not fit often."""
    if choice.sampled or choice.partings or choice.devices > 1 or choice.bond_bits is not None:
        return 1
    if request.circuit.is_dynamic or "gradient" in request.wants:
        return 1
    if free and device_bytes(request, choice) + BATCH > free[0]:
        return 1
    return batch_size(request)


def batch_size(request: RunRequest) -> int:
    """How many shifted statevectors of a gradient lie side by side: what a gigabyte takes, one at least."""
    return max(1, BATCH // state_bytes(request))


def device_bytes(request: RunRequest, choice: Choice) -> int:
    """Peak device memory of each GPU: states that wait for the others, sampling's sums, what the libraries keep."""
    if choice.bond_bits is not None:
        chi, n = int(2**choice.bond_bits) + 1, request.circuit.num_qubits
        # The tensors twice, and the pair that is split with its factors and the split's own room.
        return number_bytes(request) * (4 * n + 32) * chi * chi + WORKSPACE
    states = 1 + min(choice.partings, 30)
    if choice.sampled:
        states = 2 + math.ceil(waiting_states(shots_of(request, choice), 4))
    if "gradient" in request.wants:
        states += batch_size(request)
    sampling = state_bytes(request) // 2 if shots_of(request, choice) else 0
    return int(states * state_bytes(request) + sampling) // choice.devices + WORKSPACE


def host_bytes(request: RunRequest, choice: Choice) -> int:
    """Peak memory of the host on top of the imported engine."""
    wants, amplitudes = set(request.wants), 2**request.circuit.num_qubits
    total = state_bytes(request) * ("statevector" in wants) + 16 * amplitudes * ("probabilities" in wants)
    return int(total + shots_of(request, choice) * (2 * request.circuit.num_clbits + 16))
