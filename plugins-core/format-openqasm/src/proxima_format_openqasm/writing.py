"""What both writers share: angles, legal names, and the bits of a circuit by register."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from proxima.contracts.circuit import Circuit, Instruction, Register
from proxima.contracts.matrices import Matrix
from proxima.contracts.operations import CHANNELS, Op
from proxima.errors import UnsupportedError

_DENOMINATORS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 32, 64, 128, 256, 512, 1024)


def angle(value: float) -> str:
    """The number, so that reading it gives exactly the same double: a multiple of pi, or its shortest digits."""
    # 0.0 and -0.0 are one key to a cache.
    return _angle(value) if value else repr(value)


@lru_cache(maxsize=4096)
def _angle(value: float) -> str:
    for denominator in _DENOMINATORS:
        numerator = round(value * denominator / math.pi) if abs(value) < 1e4 else 0
        if numerator and numerator * math.pi / denominator == value:
            multiple = {1: "pi", -1: "-pi"}.get(numerator, f"{numerator}*pi")
            return multiple if denominator == 1 else f"{multiple}/{denominator}"
    text = repr(value)
    mantissa, exponent, power = text.partition("e")
    # The grammars of both languages want a point in a real number.
    return text if "." in mantissa else f"{mantissa}.0{exponent}{power}"


def legal_names(names: Iterable[str], *, pattern: str, prefix: str, taken: set[str]) -> list[str]:
    """The names, each changed as little as makes it match ``pattern`` and differ from all ``taken``, which grows."""
    out = []
    for name in names:
        legal = re.sub(r"\W", "_", name, flags=re.ASCII)
        if not re.fullmatch(pattern, legal, re.ASCII):
            legal = prefix + legal
        candidate, number = legal, 1
        while candidate in taken:
            candidate, number = f"{legal}_{number}", number + 1
        taken.add(candidate)
        out.append(candidate)
    return out


def bit_names(registers: Sequence[Register], names: Sequence[str]) -> list[str]:
    """``name[index]`` of every bit of the circuit."""
    return [f"{name}[{i}]" for name, register in zip(names, registers, strict=True) for i in range(register.size)]


def register_ranges(registers: Sequence[Register]) -> dict[tuple[int, ...], int]:
    """Which register has exactly these bits, in this order."""
    out, start = {}, 0
    for position, register in enumerate(registers):
        if register.size:
            out[tuple(range(start, start + register.size))] = position
        start += register.size
    return out


def refuse_noise(circuit: Circuit, language: str) -> None:
    """Refuses a circuit with noise channels, naming the first."""
    for code in circuit.columns.ops.tolist():
        if code in CHANNELS:
            raise UnsupportedError(
                f"{language} has no noise: the circuit holds the channel {Op(code).name.lower()}",
                hint="write the circuit without its noise, and give the noise when running it",
            )


def as_u(instruction: Instruction, language: str) -> tuple[float, float, float]:
    """Angles of a one-qubit ``unitary`` as u(theta, phi, lambda), up to a global phase.

    Raises:
        UnsupportedError: The matrix acts on more qubits.
    """
    if len(instruction.qubits) != 1:
        raise UnsupportedError(
            f"{language} cannot hold the operation unitary on {len(instruction.qubits)} qubits",
            hint="decompose the matrix into gates first",
        )
    matrix: Matrix = instruction.matrices[0]
    theta = 2 * math.atan2(abs(matrix[1, 0]), abs(matrix[0, 0]))
    # Of a zero element the phase means nothing; the anti-diagonal case puts it all into lambda.
    small = 1e-12
    first = float(np.angle(matrix[0, 0])) if abs(matrix[0, 0]) > small else 0.0
    if abs(matrix[1, 0]) <= small:
        return theta, 0.0, float(np.angle(matrix[1, 1])) - first
    phi = float(np.angle(matrix[1, 0])) - first
    return theta, phi, float(np.angle(-matrix[0, 1])) - first


Definition = tuple[tuple[str, ...], str]
"""Names of the gates that a definition uses, and the definition."""


def definitions(used: Iterable[str], known: dict[str, Definition]) -> list[str]:
    """The definitions of the gates used, each behind those it needs itself."""
    out: dict[str, str] = {}

    def add(name: str) -> None:
        if name in known and name not in out:
            needs, text = known[name]
            for need in needs:
                add(need)
            out[name] = text

    for name in used:
        add(name)
    return list(out.values())
