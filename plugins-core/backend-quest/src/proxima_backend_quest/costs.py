"""Which method a request takes, and what it costs. Nothing here needs the engine."""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from proxima.contracts.backend import RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import Features
from proxima.contracts.methods import method_asked
from proxima.contracts.operations import CHANNELS, GATES, Op
from proxima.errors import UnsupportedError
from proxima_backend_quest.engine import MAX_AMPLITUDE_BITS

METHODS = ("automatic", "statevector", "density_matrix")
SAMPLED = frozenset(("counts", "samples"))
MAX_MATRIX_QUBITS = {Op.UNITARY: 7, Op.KRAUS: 4}
# What qoqo has no operation for is applied by the plugin, between two calls.
_BETWEEN = (
    Op.UNITARY,
    Op.KRAUS,
    Op.DEPOLARIZING2,
    Op.PAULI_CHANNEL,
    Op.GENERALIZED_AMPLITUDE_DAMPING,
    Op.MEASURE,
)
# How many passes over a vector an operation takes; others take one. A pass over a density matrix takes half as much
# again for each of its numbers, a channel less.
_PASSES = {
    Op.CH: 3.0,
    Op.CSX: 3.0,
    Op.CU: 7.0,
    Op.ISWAP: 2.0,
    Op.ECR: 2.0,
    Op.RXX: 2.0,
    Op.RYY: 6.0,
    Op.RZZ: 2.0,
    Op.RZX: 4.0,
    Op.CCX: 2.5,
    Op.CSWAP: 5.0,
}
_PASSES_OF_CHANNEL = {Op.BIT_FLIP: 3.6, Op.BIT_PHASE_FLIP: 3.6}
_ON_MATRIX = 1.5
_CHANNEL = 0.6
_ELSEWHERE = "use the backend qsim, qiskit-aer or cirq"


@dataclass(frozen=True, slots=True)
class Way:
    """How a request is run.

    Attributes:
        states: Whether exact states are wanted, as a density matrix if ``exact_mixed``.
        samples: Whether shots are, drawn by vectors or, if ``sampled_mixed``, density matrices.
    """

    states: bool
    exact_mixed: bool
    samples: bool
    sampled_mixed: bool

    @property
    def method(self) -> str:
        """The method's name."""
        mixed = (self.states and self.exact_mixed) or (self.samples and self.sampled_mixed)
        return "density_matrix" if mixed else "statevector"


def choose(request: RunRequest) -> Way:
    """The way to run a request.

    Raises:
        UnsupportedError: The state is too large, or pure where a density matrix is needed.
        UsageError: The request makes no sense.
    """
    if "gradient" in request.wants:
        raise UnsupportedError("quest gives no gradient", hint="ask for expectation values at shifted angles")
    asked = method_asked(request, "quest", METHODS)
    circuit, wants = request.circuit, set(request.wants)
    _check_matrices(circuit)
    mixed = circuit.has_noise or circuit.is_dynamic
    if "statevector" in wants and (mixed or asked == "density_matrix"):
        raise UnsupportedError(
            "a circuit with noise, reset, conditions or a measurement in the middle has no statevector"
            if mixed
            else "the method density_matrix does not give a statevector",
            hint="ask for density_matrix, probabilities, expectation or counts" if mixed else "leave the method out",
        )
    samples = bool(wants & SAMPLED)
    states = bool(wants - SAMPLED)
    way = Way(
        states,
        mixed or asked == "density_matrix",
        samples,
        circuit.has_noise or asked == "density_matrix",
    )
    if asked == "statevector" and way.method == "density_matrix":
        raise UnsupportedError(
            "the method statevector does not simulate noise, nor the state of a circuit with reset, conditions or a "
            "measurement in the middle",
            hint="leave the method out",
        )
    _check_size(circuit, way, wants)
    return way


def _check_matrices(circuit: Circuit) -> None:
    sizes = np.diff(circuit.columns.qubit_offsets)
    for op, most in MAX_MATRIX_QUBITS.items():
        if (sizes[circuit.columns.ops == op] > most).any():
            raise UnsupportedError(f"quest: a {op.name.lower()} acts on more than {most} qubits", hint=_ELSEWHERE)


def _check_size(circuit: Circuit, way: Way, wants: Set[str]) -> None:
    n = circuit.num_qubits
    if way.method == "density_matrix" or "density_matrix" in wants:
        most, what = MAX_AMPLITUDE_BITS // 2, "density_matrix"
    else:
        most, what = MAX_AMPLITUDE_BITS, "statevector"
    if n > most:
        raise UnsupportedError(f"quest: a {what} has at most {most} qubits here, the circuit has {n}", hint=_ELSEWHERE)


def work(request: RunRequest, features: Features, way: Way) -> dict[str, float]:
    """The cost in the units ``run call gate amplitude between carried draw``.

    An amplitude is one number passed over by one gate of the engine's, ``between`` one passed over by the plugin, and
    ``carried`` one handed to the engine and back.
    """
    f = features
    between = float(sum(f.ops.get(op, 0) for op in _BETWEEN) - len(request.circuit.final_measurements))
    number = float(f.num_gates + f.noise_sites) - between
    out = dict.fromkeys(("run", "call", "gate", "amplitude", "between", "carried", "draw"), 0.0)
    out["run"] = 1.0
    for wanted, mixed, sampled in ((way.states, way.exact_mixed, False), (way.samples, way.sampled_mixed, True)):
        if not wanted or (sampled and way.states and not f.is_dynamic and mixed == way.exact_mixed):
            continue  # one run serves both
        size = 2.0 ** (f.num_qubits * (2 if mixed else 1))
        runs = _branches(request, f, sampled)
        native = {op: count for op, count in f.ops.items() if op not in _BETWEEN}
        gates = sum(count * _PASSES.get(op, 1.0) for op, count in native.items() if op in GATES)
        channels = sum(count * _PASSES_OF_CHANNEL.get(op, _CHANNEL) for op, count in native.items() if op in CHANNELS)
        out["gate"] += number + runs * number / 4
        out["call"] += runs * (1 + between) - 1  # the first is part of the run
        out["amplitude"] += runs * size * (_ON_MATRIX * max(gates, 1.0) + channels if mixed else max(gates, 1.0))
        out["between"] += runs * size * between
        out["carried"] += runs * size * (1 + between)
    if way.samples:
        out["draw"] = float(request.shots or 0) * max(f.num_measurements, 1)
    return {unit: amount for unit, amount in out.items() if amount > 0}


def _branches(request: RunRequest, f: Features, sampled: bool) -> float:
    """How many sequences of outcomes are followed, about."""
    midway = f.num_measurements - len(request.circuit.final_measurements) + f.ops.get(Op.RESET, 0)
    read = {bit for condition in request.circuit.conditions for bit in condition.clbits}
    most = float(request.shots or 1) if sampled else 2.0 ** min(len(read), 60)
    return max(1.0, min(most, 2.0 ** min(midway, 60)))


def memory(request: RunRequest, way: Way) -> int:
    """Peak bytes on top of the engine: numbers travel as lists of Python's own."""
    n, shots = request.circuit.num_qubits, request.shots or 0
    size: int = 2 ** (n * (2 if way.method == "density_matrix" else 1))
    waiting = math.ceil(math.log2(shots + 2)) if way.samples and request.circuit.is_dynamic else 0
    total = size * (160 + 16 * waiting)
    if "density_matrix" in request.wants and way.method == "statevector":
        total += 32 * 4**n
    if way.samples:
        total += shots * (request.circuit.num_clbits + 32)
    return total
