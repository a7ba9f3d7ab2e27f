"""Which method a request is for, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from proxima.contracts.backend import Estimate, RunRequest
from proxima.contracts.features import Features, features_of
from proxima.contracts.operations import CHANNELS, Op
from proxima.errors import UnsupportedError, UsageError
from proxima_backend_qiskit_aer.deferred import extra_qubits

METHODS = ("automatic", "statevector", "density_matrix", "stabilizer", "matrix_product_state")
STATE_WANTS = frozenset(("statevector", "density_matrix", "probabilities", "expectation"))
SAMPLE_WANTS = frozenset(("counts", "samples"))
MAX_STATEVECTOR_QUBITS = 34
MAX_DENSITY_QUBITS = 16
# Above this a state is too wide to be written out, and MPS still has answers.
MAX_DENSE_QUBITS = 30
# Up to here a statevector takes less time than choosing.
_SMALL = 10
# Above this an MPS' bond dimension makes it a statevector in disguise.
_MAX_BOND_BITS = 10.0
# Pauli channels; their errors are drawn, all others cost a pass over the state per Kraus operator.
_PAULI = frozenset((Op.DEPOLARIZING, Op.DEPOLARIZING2, Op.BIT_FLIP, Op.PHASE_FLIP, Op.BIT_PHASE_FLIP, Op.PAULI_CHANNEL))

# Seconds per unit of work on the machine where the defaults were measured, one thread; the manifest holds the same.
RATES = {
    "run": 8.0e-4,
    "operation": 5.5e-6,
    "amplitude": 2.1e-9,
    "draw": 5.0e-7,
    "shot": 4.8e-5,
    "shot_operation": 1.2e-7,
    "tableau": 3.3e-8,
    "bond": 1.5e-8,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to run a request.

    Attributes:
        method: Of the run that computes states, and that samples unless ``per_shot``.
        per_shot: Whether every shot is simulated on its own (for a density matrix: as a statevector).
        work: Amounts of the units of `RATES`.
    """

    method: str
    reason: str
    memory_bytes: int
    per_shot: bool
    work: dict[str, float]

    @property
    def seconds(self) -> float:
        """The estimated time at the default rates."""
        return Estimate(True, work=self.work).seconds(RATES)


def choose(request: RunRequest, features: Features | None = None) -> Choice:
    """The cheapest way to run a request, or the way that ``options={"method": ...}`` asks for.

    Raises:
        UnsupportedError: No method, or not the one asked for, can run it; the message says why.
        UsageError: There is no such method or option.
    """
    if "gradient" in request.wants:
        raise UnsupportedError("qiskit-aer gives no gradient", hint="ask for expectation values at shifted angles")
    unknown = sorted(set(request.options) - {"method"})
    if unknown:
        raise UsageError(f"qiskit-aer has no option {', '.join(unknown)}", hint="its only option is method")
    asked = str(request.options.get("method", "automatic"))
    if asked not in METHODS:
        raise UsageError(f"qiskit-aer has no method {asked!r}", hint=f"its methods are: {', '.join(METHODS)}")
    circuit = request.circuit
    mixed = circuit.has_noise or circuit.is_dynamic
    small = asked == "automatic" and not mixed and circuit.num_qubits <= _SMALL
    if small:
        if features is None:
            gates, size = float(len(circuit)), 2.0**circuit.num_qubits
            work = {"run": 1.0, "operation": gates, "amplitude": gates * size, "draw": float(request.shots or 0)}
            return Choice("statevector", "the circuit is small", 0, False, work)
        asked = "statevector"
    found = features or features_of(circuit)
    if "statevector" in request.wants and mixed:
        raise UnsupportedError(
            "a circuit with noise, resets, conditions or measurements in the middle has no statevector",
            hint="ask for density_matrix",
        )
    ways: list[Choice] = []
    reasons: list[str] = []
    for method in METHODS[1:] if asked == "automatic" else (asked,):
        way = _way(method, request, found, mixed)
        if isinstance(way, Choice):
            ways.append(way)
        else:
            reasons.append(f"{method}: {way}")
    if not ways:
        raise UnsupportedError(
            "; ".join(reasons),
            hint="ask for counts or expectation, or use a backend with another method",
        )
    best = min(ways, key=lambda way: way.seconds)
    return replace(best, reason="the circuit is small") if small else best


def _way(method: str, request: RunRequest, f: Features, mixed: bool) -> Choice | str:
    wants = set(request.wants)
    circuit = request.circuit
    n = f.num_qubits
    states = wants & STATE_WANTS
    samples = bool(wants & SAMPLE_WANTS)
    shots = request.shots or 0
    match method:
        case "stabilizer":
            if not f.is_clifford:
                return "the circuit is not Clifford"
            if states - {"expectation"}:
                return f"it gives no {min(states - {'expectation'})}"
            per_shot = mixed
            repeats = shots if per_shot else 1
            # A gate touches two columns of n/64 words. A measurement within a shot sweeps n^2 bits, n per unit; for
            # final ones the generators are eliminated once, by n^3 bits.
            measured = (f.num_measurements + f.ops.get(Op.RESET, 0)) * shots if per_shot else n * n / 64 + 3000.0
            tableau = repeats * f.num_operations * (n / 64 + 1.0) + measured * n
            work: dict[str, float] = {"run": 1.0, "operation": f.num_operations, "tableau": tableau}
            if per_shot:
                work |= {"shot": shots, "shot_operation": shots * _drawn(f)}
            elif samples:
                work["draw"] = float(shots)
            memory = 8 * 2 * n * 2 * (n // 64 + 1) + 200 * f.num_operations
            reason = "the circuit is Clifford"
        case "matrix_product_state":
            if n < 2 or n > 1000:
                return "it takes from 2 to 1000 qubits"
            if states - {"expectation"} and n > MAX_DENSE_QUBITS:
                return f"{n} qubits are too many to write out {min(states - {'expectation'})}"
            if "density_matrix" in wants:
                return "it gives no density matrix"
            if mixed and states - {"expectation"}:
                return "the state is mixed"
            per_shot = mixed
            repeats = max(shots, 1) if per_shot else 1
            chi = 2.0 ** min(f.bond_bits, 40.0)
            # One unit is a flop of a decomposition at bond dimension chi; small tensors cost their calls.
            others = sum(count for op, count in f.ops.items() if op in CHANNELS and op not in _PAULI)
            gates = 60.0 * f.gates_1q + 600.0 * f.gates_2q + 5000.0 * f.gates_many
            bonds = repeats * (0.4 * 2.0 ** min(f.bond_work, 200.0) + gates + 60.0 * f.noise_sites + 800.0 * others)
            if samples:
                bonds += shots * bonds_of_shot(n, chi)
            work = {"run": 1.0, "operation": f.num_operations, "bond": bonds, "shot": repeats if per_shot else 0.0}
            if states - {"expectation"}:
                work["amplitude"] = 300.0 * 2.0**n  # to write the state out costs far more than to hold it
            memory = int(min(16 * n * 2 * chi * chi * 4, 2.0**62)) + 200 * f.num_operations
            if f.bond_bits > _MAX_BOND_BITS and n <= MAX_DENSE_QUBITS and request.options.get("method") != method:
                return "its bond dimension may grow too large"
            reason = f"little entanglement: bond dimension at most 2^{f.bond_bits:g}"
        case "density_matrix":
            inner = n + (extra_qubits(circuit) if states else 0)
            if inner > MAX_DENSITY_QUBITS:
                return f"{inner} qubits are more than {MAX_DENSITY_QUBITS}"
            if "statevector" in wants:
                return "it gives no statevector"
            per_shot = circuit.is_dynamic and samples
            passes = 2.0 * f.num_gates + f.noise_sites + 1.0
            amplitudes = 4.0**inner * passes if states or not per_shot else 0.0
            work = {"run": 1.0, "operation": 3.0 * f.num_operations, "amplitude": amplitudes}
            if per_shot:
                work["amplitude"] += shots * (f.num_gates + f.num_measurements + 1) * 2.0**n
                work |= {"shot": shots, "shot_operation": shots * _drawn(f)}
            elif samples:
                work["draw"] = float(shots)
            memory = (16 << 2 * inner) * (2 if states else 1) + 200 * f.num_operations
            reason = "the noise is exact as a density matrix" if f.noise_sites else "a density matrix"
            return Choice(method, reason, memory, per_shot, work)
        case _:
            if n > MAX_STATEVECTOR_QUBITS:
                return f"{n} qubits need {_size(16 * 2**n)}"
            if "density_matrix" in wants and n > MAX_DENSITY_QUBITS:
                return f"a density matrix of {n} qubits needs {_size(16 * 4**n)}"
            if mixed and states - {"expectation"}:
                return "the state is mixed"
            per_shot = mixed
            repeats = max(shots, 1) if per_shot else 1
            # Single gates between noise sites are not fused; a run of its own also allocates, samples and answers.
            passes = 1.1 * f.num_gates + f.num_measurements + 0.25 * f.noise_sites if per_shot else f.num_gates + 35.0
            passes += 3.0 * sum(count for op, count in f.ops.items() if op in CHANNELS and op not in _PAULI)
            work = {"run": 1.0, "operation": f.num_operations, "amplitude": repeats * passes * 2.0**n}
            if per_shot:
                work |= {"shot": repeats, "shot_operation": repeats * _drawn(f)}
            elif samples:
                work["draw"] = float(shots)
            memory = 16 * (1 << n) * (2 if states else 1) + 200 * f.num_operations
            if "density_matrix" in wants:
                memory += 16 << 2 * n
            reason = "a statevector" if not per_shot else "a statevector for every shot"
    if mixed and states and not request.shots:
        return "without shots it cannot average over a mixed state"
    return Choice(method, reason, memory, per_shot, work)


def bonds_of_shot(n: int, chi: float) -> float:
    """Work, in units of `bond`, to draw one shot of n qubits from a matrix product state of bond dimension chi."""
    return n * (105.0 + 0.6 * chi * chi)


def _drawn(f: Features) -> float:
    """Operations that one shot goes through; a noise site takes a draw and conditional gates."""
    return f.num_operations + 2.0 * f.noise_sites


def _size(number: float) -> str:
    power = int(math.log2(number) // 10)
    return f"{number / 2.0 ** (10 * power):.0f} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')[min(power, 6)]}"
