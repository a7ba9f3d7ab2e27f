"""Amazon Braket's pragmas: ``unitary`` and ``noise`` become operations, ``result`` is a request and is left out."""

from __future__ import annotations

import ast
import math
import re
from typing import NamedTuple

import numpy as np

from proxima.contracts.matrices import PAULIS, Matrix
from proxima.contracts.operations import Op
from proxima.errors import UsageError


class PragmaError(UsageError):
    """A Braket pragma that makes no sense."""


class BraketOperation(NamedTuple):
    """What a pragma adds to the circuit.

    Attributes:
        reverse: Whether the matrices take the first named qubit as the most significant.
        operands: The text that names the qubits.
    """

    op: Op
    params: tuple[float, ...]
    matrices: tuple[Matrix, ...]
    reverse: bool
    operands: str


_CHANNELS: dict[str, tuple[Op, int]] = {
    "bit_flip": (Op.BIT_FLIP, 1),
    "phase_flip": (Op.PHASE_FLIP, 1),
    "depolarizing": (Op.DEPOLARIZING, 1),
    "two_qubit_depolarizing": (Op.DEPOLARIZING2, 1),
    "pauli_channel": (Op.PAULI_CHANNEL, 3),
    "amplitude_damping": (Op.AMPLITUDE_DAMPING, 1),
    "generalized_amplitude_damping": (Op.GENERALIZED_AMPLITUDE_DAMPING, 2),
    "phase_damping": (Op.PHASE_DAMPING, 1),
}
_PRAGMA = re.compile(r"\s*braket\s+(unitary|noise\s+(\w+)|result|verbatim|\w+)\s*(.*)", re.DOTALL)
_ARGUMENTS = re.compile(r"\((.*)\)\s*([^()]*)", re.DOTALL)
_IMAGINARY = re.compile(r"(?<=[0-9.])\s*\*?\s*im")
_MATRIX_CHARACTERS = re.compile(r"[\d\s.eEim+\-*\[\],()]*")


def read_pragma(command: str) -> BraketOperation | None:
    """The operation a pragma stands for; ``None`` for one that adds none, or is not Braket's.

    Raises:
        PragmaError: A Braket pragma that is unknown or malformed.
    """
    match = _PRAGMA.fullmatch(command)
    if match is None or match[1] in ("result", "verbatim"):
        return None
    arguments = _ARGUMENTS.fullmatch(match[3])
    if arguments is None:
        raise PragmaError("the pragma lacks its arguments in brackets")
    inside, operands = arguments.groups()
    if match[1] == "unitary":
        return BraketOperation(Op.UNITARY, (), _matrices(inside), True, operands)
    channel = match[2]
    if channel == "kraus":
        return BraketOperation(Op.KRAUS, (), _matrices(inside), True, operands)
    if channel == "two_qubit_dephasing":
        (p,) = _numbers(inside, 1, channel)
        return BraketOperation(Op.KRAUS, (), _dephasing(p), False, operands)
    if channel not in _CHANNELS:
        raise PragmaError(f"unknown Braket pragma {match[1]!r}")
    op, count = _CHANNELS[channel]
    numbers = _numbers(inside, count, channel)
    # Braket gives gamma first, the vocabulary the probability.
    params = tuple(reversed(numbers)) if op is Op.GENERALIZED_AMPLITUDE_DAMPING else numbers
    return BraketOperation(op, params, (), False, operands)


def _numbers(text: str, count: int, channel: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise PragmaError(f"{channel} takes numbers, got {text[:40]!r}") from None
    if len(values) != count or not all(0 <= v <= 1 for v in values):
        raise PragmaError(f"{channel} takes {count} numbers in [0, 1], got {text[:40]!r}")
    return values


def _matrices(text: str) -> tuple[Matrix, ...]:
    if not _MATRIX_CHARACTERS.fullmatch(text) or len(text) > 2**20:
        raise PragmaError("a matrix is a list of rows of complex numbers, as in [[1, 0], [0, 1.0im]]")
    try:
        nested = ast.literal_eval("[" + _IMAGINARY.sub("j", text) + "]")
        out = tuple(np.array(matrix, dtype=np.complex128) for matrix in nested)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError):
        raise PragmaError("a matrix is a list of rows of complex numbers, as in [[1, 0], [0, 1.0im]]") from None
    if not out or any(m.ndim != 2 or m.shape[0] != m.shape[1] for m in out):
        raise PragmaError("a matrix must be square")
    return out


def _dephasing(p: float) -> tuple[Matrix, ...]:
    identity, z = PAULIS["I"], PAULIS["Z"]
    weighted = [(1 - p, identity, identity), (p / 3, identity, z), (p / 3, z, identity), (p / 3, z, z)]
    return tuple(np.array(math.sqrt(w) * np.kron(b, a), dtype=np.complex128) for w, a, b in weighted)
