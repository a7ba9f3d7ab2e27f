"""The closed vocabulary of operations that a circuit may hold.

Every gate and channel has a reference definition (`matrices`), so every backend can be tested against it.
Gate names are OpenQASM's and Qiskit's. Angles are in radians. In a definition the first listed qubit is
the least significant bit of a matrix index, and a controlled gate lists its controls first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Op(IntEnum):
    """Operation codes; the numbers are part of the circuit format and never change meaning."""

    ID = 0
    X = 1
    Y = 2
    Z = 3
    H = 4
    S = 5
    SDG = 6
    T = 7
    TDG = 8
    SX = 9
    SXDG = 10
    RX = 11
    RY = 12
    RZ = 13
    P = 14
    R = 15
    U = 16

    CX = 20
    CY = 21
    CZ = 22
    CH = 23
    CSX = 24
    SWAP = 25
    ISWAP = 26
    ECR = 27
    CRX = 28
    CRY = 29
    CRZ = 30
    CP = 31
    CU = 32
    RXX = 33
    RYY = 34
    RZZ = 35
    RZX = 36

    CCX = 50
    CCZ = 51
    CSWAP = 52

    UNITARY = 60
    KRAUS = 61
    MEASURE = 62
    RESET = 63
    BARRIER = 64

    DEPOLARIZING = 80
    DEPOLARIZING2 = 81
    BIT_FLIP = 82
    PHASE_FLIP = 83
    BIT_PHASE_FLIP = 84
    PAULI_CHANNEL = 85
    AMPLITUDE_DAMPING = 86
    GENERALIZED_AMPLITUDE_DAMPING = 87
    PHASE_DAMPING = 88


class OpKind(StrEnum):
    """What an operation does to the state."""

    GATE = "gate"  # unitary
    CHANNEL = "channel"  # noise: completely positive and trace preserving
    MEASURE = "measure"
    RESET = "reset"
    BARRIER = "barrier"


@dataclass(frozen=True, slots=True)
class OpSpec:
    """What is known of one operation.

    Attributes:
        num_qubits: How many qubits it takes; 0 where the operation says so itself (unitary, kraus, barrier).
        params: Names of its real parameters: angles in radians, or probabilities for a channel.
        clifford: Whether it is a Clifford gate (or stabiliser-friendly: measure, reset, barrier, Pauli noise).
        diagonal: Whether its matrix is diagonal in the computational basis.
        definition: The definition in words.
    """

    op: Op
    kind: OpKind
    num_qubits: int
    params: tuple[str, ...]
    clifford: bool
    diagonal: bool
    definition: str

    @property
    def name(self) -> str:
        """The name as it is written in files and messages: lower case."""
        return self.op.name.lower()


_U = "[[cos(theta/2), -exp(i lambda) sin(theta/2)], [exp(i phi) sin(theta/2), exp(i (phi+lambda)) cos(theta/2)]]"
_ECR = "(IX - XY) / sqrt(2), the rightmost letter on the first qubit: echoed cross resonance"
_DAMPING = "with probability p amplitude damping by gamma towards |0>, otherwise by gamma towards |1>"
_DEPHASING = (
    "off-diagonal elements shrink by sqrt(1-lambda): K_0 = diag(1, sqrt(1-lambda)), K_1 = diag(0, sqrt(lambda))"
)


def _gate(op: Op, size: int, definition: str, *params: str, clifford: bool = False, diagonal: bool = False) -> OpSpec:
    return OpSpec(op, OpKind.GATE, size, params, clifford, diagonal, definition)


def _channel(op: Op, size: int, definition: str, *params: str, pauli: bool = True) -> OpSpec:
    return OpSpec(op, OpKind.CHANNEL, size, params, pauli, False, definition)


_SPECS = (
    _gate(Op.ID, 1, "identity", clifford=True, diagonal=True),
    _gate(Op.X, 1, "Pauli X", clifford=True),
    _gate(Op.Y, 1, "Pauli Y", clifford=True),
    _gate(Op.Z, 1, "Pauli Z", clifford=True, diagonal=True),
    _gate(Op.H, 1, "Hadamard, (X + Z) / sqrt(2)", clifford=True),
    _gate(Op.S, 1, "diag(1, i)", clifford=True, diagonal=True),
    _gate(Op.SDG, 1, "diag(1, -i)", clifford=True, diagonal=True),
    _gate(Op.T, 1, "diag(1, exp(i pi/4))", diagonal=True),
    _gate(Op.TDG, 1, "diag(1, exp(-i pi/4))", diagonal=True),
    _gate(Op.SX, 1, "square root of X with eigenvalues 1 and i", clifford=True),
    _gate(Op.SXDG, 1, "inverse of sx", clifford=True),
    _gate(Op.RX, 1, "exp(-i theta X / 2)", "theta"),
    _gate(Op.RY, 1, "exp(-i theta Y / 2)", "theta"),
    _gate(Op.RZ, 1, "exp(-i theta Z / 2)", "theta", diagonal=True),
    _gate(Op.P, 1, "diag(1, exp(i lambda))", "lambda", diagonal=True),
    _gate(Op.R, 1, "exp(-i theta (X cos phi + Y sin phi) / 2)", "theta", "phi"),
    _gate(Op.U, 1, _U, "theta", "phi", "lambda"),
    _gate(Op.CX, 2, "X on the second qubit where the first is 1", clifford=True),
    _gate(Op.CY, 2, "Y on the second qubit where the first is 1", clifford=True),
    _gate(Op.CZ, 2, "diag(1, 1, 1, -1)", clifford=True, diagonal=True),
    _gate(Op.CH, 2, "Hadamard on the second qubit where the first is 1"),
    _gate(Op.CSX, 2, "sx on the second qubit where the first is 1"),
    _gate(Op.SWAP, 2, "exchanges the two qubits", clifford=True),
    _gate(Op.ISWAP, 2, "exchanges the two qubits and multiplies |01> and |10> by i", clifford=True),
    _gate(Op.ECR, 2, _ECR, clifford=True),
    _gate(Op.CRX, 2, "rx on the second qubit where the first is 1", "theta"),
    _gate(Op.CRY, 2, "ry on the second qubit where the first is 1", "theta"),
    _gate(Op.CRZ, 2, "rz on the second qubit where the first is 1", "theta", diagonal=True),
    _gate(Op.CP, 2, "diag(1, 1, 1, exp(i lambda))", "lambda", diagonal=True),
    _gate(Op.CU, 2, "exp(i gamma) u on the second qubit where the first is 1", "theta", "phi", "lambda", "gamma"),
    _gate(Op.RXX, 2, "exp(-i theta XX / 2)", "theta"),
    _gate(Op.RYY, 2, "exp(-i theta YY / 2)", "theta"),
    _gate(Op.RZZ, 2, "exp(-i theta ZZ / 2)", "theta", diagonal=True),
    _gate(Op.RZX, 2, "exp(-i theta / 2 Z X): Z on the first qubit, X on the second", "theta"),
    _gate(Op.CCX, 3, "X on the third qubit where the first two are 1"),
    _gate(Op.CCZ, 3, "diag(1, 1, 1, 1, 1, 1, 1, -1)", diagonal=True),
    _gate(Op.CSWAP, 3, "exchanges the last two qubits where the first is 1"),
    _gate(Op.UNITARY, 0, "a unitary matrix given with the operation"),
    OpSpec(Op.KRAUS, OpKind.CHANNEL, 0, (), False, False, "rho -> sum_k K_k rho K_k^dagger, with the K_k given"),
    OpSpec(Op.MEASURE, OpKind.MEASURE, 1, (), True, False, "projective measurement of Z into a classical bit"),
    OpSpec(Op.RESET, OpKind.RESET, 1, (), True, False, "puts the qubit into |0>, whatever it was"),
    OpSpec(Op.BARRIER, OpKind.BARRIER, 0, (), True, False, "does nothing; optimisation does not cross it"),
    _channel(Op.DEPOLARIZING, 1, "I with 1-p; X, Y, Z with p/3 each", "p"),
    _channel(Op.DEPOLARIZING2, 2, "II with 1-p; each of the other 15 Pauli pairs with p/15", "p"),
    _channel(Op.BIT_FLIP, 1, "X with probability p", "p"),
    _channel(Op.PHASE_FLIP, 1, "Z with probability p", "p"),
    _channel(Op.BIT_PHASE_FLIP, 1, "Y with probability p", "p"),
    _channel(Op.PAULI_CHANNEL, 1, "X, Y, Z with the given probabilities, I otherwise", "px", "py", "pz"),
    _channel(Op.AMPLITUDE_DAMPING, 1, "|1> decays to |0> with probability gamma", "gamma", pauli=False),
    _channel(Op.GENERALIZED_AMPLITUDE_DAMPING, 1, _DAMPING, "p", "gamma", pauli=False),
    _channel(Op.PHASE_DAMPING, 1, _DEPHASING, "lambda", pauli=False),
)

OPERATIONS: dict[Op, OpSpec] = {spec.op: spec for spec in _SPECS}
BY_NAME: dict[str, OpSpec] = {spec.name: spec for spec in _SPECS}

GATES = frozenset(spec.op for spec in _SPECS if spec.kind is OpKind.GATE)
CHANNELS = frozenset(spec.op for spec in _SPECS if spec.kind is OpKind.CHANNEL)
