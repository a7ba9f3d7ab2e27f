"""Which method a request takes, and what it costs. Nothing here needs the engine.

The unit of simulation is one amplitude passed over once. Gates on one qubit are fused into their neighbours, so gates
on two qubits are what counts; one-qubit gates that find no neighbour are counted half, once per qubit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features, features_of
from proxima.contracts.operations import Op
from proxima.errors import UnsupportedError, UsageError
from proxima_backend_qsim.density import MAX_CHANNEL_QUBITS, bits_read
from proxima_backend_qsim.engine import PIECE

METHODS = ("automatic", "statevector", "density_matrix", "trajectories")

# A density matrix on n qubits is a vector on 2n; 2^28 amplitudes are 2 GiB.
MAX_DENSITY_MATRIX_QUBITS = 14

# Above this many qubits a state no longer fits into a processor's cache and each pass over it costs more.
_CACHED_QUBITS = 22

_PASSES_BETWEEN_PIECES = 8

_ELSEWHERE = "use the backend qiskit-aer or cirq"


@dataclass(frozen=True, slots=True)
class Method:
    """How a request is run: a density matrix, trajectories, both (each for other wants), or else a statevector."""

    density_matrix: bool
    trajectories: bool

    @property
    def name(self) -> str:
        """For people."""
        names = ("density_matrix" if self.density_matrix else "", "trajectories" if self.trajectories else "")
        return "+".join(name for name in names if name) or "statevector"


def choose(request: RunRequest, features: Features | None = None) -> Method:
    """The method for a request; ``features`` saves counting the circuit where that is needed.

    Raises:
        UnsupportedError: No method of qsim's can do it, or not the one that was asked for.
        UsageError: The request makes no sense.
    """
    circuit = request.circuit
    measurements = int((circuit.columns.ops == Op.MEASURE).sum())
    _check(request, measurements)
    asked = request.options.get("method", "automatic")
    wants = set(request.wants)
    mixed = circuit.is_dynamic or circuit.has_noise
    if not mixed and asked in ("automatic", "statevector"):
        return Method(False, False)
    if asked == "statevector" or "statevector" in wants:
        why = "a circuit with noise, reset, conditions or a measurement in the middle has no statevector"
        raise UnsupportedError(
            why if mixed else f"the method {asked} does not give a statevector",
            hint="ask for density_matrix, probabilities, expectation or counts" if mixed else "leave the method out",
        )
    sampled = wants & {"counts", "samples"}
    matrix_only = wants & {"density_matrix", "probabilities"}
    obstacle = _density_matrix_obstacle(circuit)
    if matrix_only and obstacle:
        wanted = " and ".join(sorted(matrix_only))
        raise UnsupportedError(f"qsim cannot compute {wanted} here: {obstacle}", hint=_ELSEWHERE)
    read_midway = measurements > len(circuit.final_measurements)
    if asked == "density_matrix" and (obstacle or (sampled and read_midway)):
        raise UnsupportedError(
            f"the method density_matrix cannot do this: {obstacle or 'a measurement in the middle is to be sampled'}",
            hint="leave the method out, or choose trajectories",
        )
    if asked == "trajectories":
        if matrix_only:
            raise UnsupportedError(
                f"trajectories do not give {' and '.join(sorted(matrix_only))}", hint="leave the method out"
            )
        return Method(False, True)
    if sampled and (read_midway or obstacle):
        return Method(bool(matrix_only or ("expectation" in wants and not obstacle)), True)
    if obstacle:
        return Method(False, True)
    if matrix_only or asked == "density_matrix":
        return Method(True, False)
    features = features or features_of(circuit)
    exact = _passes(features, Method(True, False), request) * 4.0**features.num_qubits
    drawn = _passes(features, Method(False, True), request) * 2.0**features.num_qubits
    # A trajectory's segment costs about as much to set up as 100,000 amplitudes to pass over.
    drawn += _segments(features, request) * 100_000
    return Method(True, False) if exact <= drawn else Method(False, True)


def _check(request: RunRequest, measurements: int) -> None:
    if request.precision == "double":
        raise UnsupportedError("qsim computes in single precision only, double was asked for", hint=_ELSEWHERE)
    if "gradient" in request.wants:
        raise UnsupportedError("qsim gives no gradient", hint="ask for expectation values at shifted angles")
    if request.circuit.parameters:
        names = ", ".join(request.circuit.parameters)
        raise UsageError(f"the circuit has open parameters: {names}", hint="bind them to values first")
    unknown = sorted(set(request.options) - {"method"})
    if unknown:
        raise UsageError(f"qsim has no option {', '.join(unknown)}", hint="its only option is method")
    asked = request.options.get("method", "automatic")
    if asked not in METHODS:
        raise UsageError(f"qsim has no method {asked!r}", hint=f"its methods are {', '.join(METHODS)}")
    sampled = {"counts", "samples"} & set(request.wants)
    if sampled and not measurements:
        raise UsageError(
            f"the circuit measures nothing, so there are no {' and '.join(sorted(sampled))}",
            hint="measure qubits into classical bits, or ask for probabilities",
        )
    if sampled and (request.shots is None or request.shots < 1):
        raise UsageError(f"{' and '.join(sorted(sampled))} need at least one shot, got {request.shots}")
    for observable in request.observables if "expectation" in request.wants else ():
        if observable.num_qubits != request.circuit.num_qubits:
            raise UsageError(
                f"the observable {observable} acts on {observable.num_qubits} qubits, "
                f"the circuit has {request.circuit.num_qubits}"
            )


def _density_matrix_obstacle(circuit: Circuit) -> str:
    """Why the density matrix cannot be computed; empty where it can."""
    read = len(bits_read(circuit))
    if circuit.num_qubits + read / 2 > MAX_DENSITY_MATRIX_QUBITS:
        reading = f" and {read} classical bits that conditions read" if read else ""
        return f"a density matrix of {circuit.num_qubits} qubits{reading} is too large"
    sizes = circuit.columns.qubit_offsets[1:] - circuit.columns.qubit_offsets[:-1]
    if (sizes[circuit.columns.ops == Op.KRAUS] > MAX_CHANNEL_QUBITS).any():
        return f"a kraus channel acts on more than {MAX_CHANNEL_QUBITS} qubits"
    return ""


def _events(features: Features, request: RunRequest) -> float:
    """How many times a trajectory parts from the commonest one, about."""
    midway = features.num_measurements - len(request.circuit.final_measurements) + features.ops.get(Op.RESET, 0)
    return features.noise_weight + 0.1 * features.ops.get(Op.KRAUS, 0) + midway


def _segments(features: Features, request: RunRequest) -> float:
    """How many times the engine is called for trajectories: each split costs at most two calls."""
    return min(2.0 * _trajectories(features, request), float(shots_of(request)) * (1 + _events(features, request)))


def _trajectories(features: Features, request: RunRequest) -> float:
    """How many different trajectories there are, about."""
    shots = float(shots_of(request))
    different = shots * -math.expm1(-_events(features, request))
    midway = _events(features, request) - features.noise_weight
    if features.noise_sites == 0 and midway < 20:
        different = min(different, 2.0**midway)
    return max(different, 1.0)


def shots_of(request: RunRequest) -> int:
    """How many trajectories to run: the shots asked for, 1024 where only expectation values are wanted without any."""
    return request.shots or 1024


def _passes(features: Features, method: Method, request: RunRequest) -> float:
    f = features
    gates = f.gates_2q + 2.0 * f.gates_many + min(f.gates_1q, f.num_qubits) / 2
    if method.density_matrix:
        # Each value of the classical bits that conditions read has its own density matrix.
        return (2 * gates + 0.5 * f.noise_sites) * 2.0 ** len(bits_read(request.circuit))
    if method.trajectories:
        # Trajectories part half way through, on average.
        return gates * (1 + 0.5 * _trajectories(f, request))
    return gates


def work(request: RunRequest, features: Features, method: Method) -> dict[str, float]:
    """The request's cost in the units ``run gate amplitude far_amplitude segment read draw``."""
    f = features
    out = dict.fromkeys(("run", "gate", "amplitude", "far_amplitude", "segment", "read", "draw"), 0.0)
    out["run"] = 1.0
    ways = [m for m in (Method(True, False), Method(False, True)) if getattr(method, m.name)] or [method]
    for way in ways:
        width = 2 * f.num_qubits if way.density_matrix else f.num_qubits
        size = 2.0**width
        passes = _passes(f, way, request)
        if size * passes > 1.5 * PIECE:
            # Between two pieces of a long run the state is copied and its memory taken anew.
            passes += _PASSES_BETWEEN_PIECES * size * passes / PIECE
        out["far_amplitude" if width > _CACHED_QUBITS else "amplitude"] += size * passes
        out["gate"] += (2 if way.density_matrix else 1) * f.num_operations
        if way.trajectories:
            out["segment"] += _segments(f, request)
            # A trajectory's own gates, half of all on average, are handed to the engine but not translated again.
            out["gate"] += 0.25 * _trajectories(f, request) * f.num_gates
        out["read"] += size * (1 + sum(2 * len(o.terms) for o in request.observables if "expectation" in request.wants))
    if {"counts", "samples"} & set(request.wants):
        out["draw"] = float(shots_of(request) * f.num_measurements)
    return {unit: amount for unit, amount in out.items() if amount}


def memory(request: RunRequest, method: Method) -> int:
    """Peak bytes on top of the engine."""
    n = request.circuit.num_qubits
    # One state is carried from piece to piece while the next is computed; expectation values need two more.
    states = 2 + 2 * ("expectation" in request.wants) + 2 * ("probabilities" in request.wants)
    total = 0
    if method.density_matrix:
        total = max(total, 8 * 4**n * (2 * 2 ** len(bits_read(request.circuit)) + 3 * ("expectation" in request.wants)))
    if method.trajectories:
        total = max(total, 8 * 2**n * (states + math.ceil(math.log2(shots_of(request) + 1))))
    if not method.density_matrix and not method.trajectories:
        total = 8 * 2**n * states
    if "density_matrix" in request.wants and not method.density_matrix:
        total += 16 * 4**n
    if request.shots:
        total += request.shots * (request.circuit.num_clbits + 32)
    return total
