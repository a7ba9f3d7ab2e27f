"""Saying what went wrong: comparisons of states, and the likely cause of a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.operations import OPERATIONS, OpKind
from proxima_sdk.circuits import clbits_reversed, qubits_reversed, rewritten
from proxima_sdk.conformance.statistics import Fit

Array = npt.NDArray[Any]

# A cause is a sentence and the circuit whose right result is what such a fault would give.
Cause: TypeAlias = tuple[str, Callable[[], Circuit]]

ORDER = "qubit 0 is the least significant bit of every index; bit strings are printed highest classical bit first"

BIG_ENDIAN = "looks big-endian: qubit 0 is taken as the most significant bit"
LOWEST_FIRST = "looks big-endian: bit strings are printed lowest classical bit first"
SIGN_REVERSED = "rotation sign reversed: the angles enter with the opposite sign"
IDLE_DROPPED = "idle qubit dropped: qubits that no operation touches are missing from the result"
UNWRITTEN_DROPPED = "unwritten classical bits dropped: bits that no measurement writes are missing from the result"
SEED_IGNORED = "seed ignored"
# What single precision computes right to, with a wide margin.
_SINGLE = 1e-4

CANCEL_IGNORED = "cancel ignored: the run does not call context.check() between pieces of its work"


def report(
    what: str, *, expected: object, got: object, convention: str = "", causes: Sequence[str] = (), note: str = ""
) -> NoReturn:
    """Fails the check with a message that explains itself."""
    lines = [what, f"  expected:     {expected}", f"  got:          {got}"]
    if convention:
        lines.append(f"  convention:   {convention}")
    lines += [f"  likely cause: {cause}" for cause in causes]
    if note:
        lines.append(f"  note:         {note}")
    pytest.fail("\n".join(lines), pytrace=False)


def negated_angles(circuit: Circuit) -> Circuit:
    """The circuit with every gate's angles negated."""

    def negate(i: Instruction) -> Instruction:
        if OPERATIONS[i.op].kind is not OpKind.GATE:
            return i
        return i._replace(params=tuple(-p for p in i.params if isinstance(p, (int, float))))

    return rewritten(circuit, negate)


def usual_causes(circuit: Circuit) -> list[Cause]:
    """Faults that can show in any circuit."""
    return [
        (BIG_ENDIAN, lambda: qubits_reversed(circuit)),
        (LOWEST_FIRST, lambda: clbits_reversed(circuit)),
        (SIGN_REVERSED, lambda: negated_angles(circuit)),
    ]


def aligned(got: Array, expected: Array) -> Array:
    """A statevector with its global phase turned to the expected one's; anything else as it is."""
    if got.ndim == 1:
        overlap = np.vdot(expected, got)
        if abs(overlap) > 1e-12:
            return np.asarray(got * (overlap.conjugate() / abs(overlap)))
    return got


def distance(got: Array, expected: Array) -> float:
    """The largest difference of an element, up to a statevector's global phase; infinite where shapes differ."""
    if got.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(aligned(got, expected) - expected), initial=0.0))


def worst_element(got: Array, expected: Array) -> tuple[str, str]:
    """The element that differs most, in the expected and in the given array, in words."""
    got = aligned(got, expected)
    index = np.unravel_index(int(np.argmax(np.abs(got - expected))), expected.shape)
    width = len(expected).bit_length() - 1
    label = ", ".join(format(int(i), f"0{width}b") for i in index)
    return f"element [{label}] = {complex(expected[index]):.6g}", f"element [{label}] = {complex(got[index]):.6g}"


def state_causes(got: Array, expected: Array, precision: str, suspects: Iterable[tuple[str, Array]]) -> list[str]:
    """The likely cause of a state's difference: too little precision, or the first suspect that it agrees with.

    A suspect whose fault would not show in this state is passed over.
    """
    if distance(got, expected) < _SINGLE:
        return [f"computed in less than {precision} precision"]
    for text, wrong in suspects:
        if distance(got, wrong) < _SINGLE < distance(wrong, expected):
            return [text]
    return []


def describe_fit(fit: Fit) -> tuple[str, str]:
    """The worst outcome's expected and observed number."""
    return (
        f"{fit.worst!r} about {fit.expected:.1f} times",
        f"{fit.worst!r} {fit.got} times (chi-square p = {fit.p_value:.1e})",
    )


def width_cause(width: int, circuit: Circuit) -> list[str]:
    """Why a bit string would be ``width`` long rather than one letter per classical bit."""
    written = {i.clbit for i in circuit if i.clbit >= 0}
    if width == len(written):
        return [UNWRITTEN_DROPPED]
    return ["there is one letter per qubit, not per classical bit"] if width == circuit.num_qubits else []


def size_cause(size: int, circuit: Circuit) -> list[str]:
    """Why a state would have ``size`` elements rather than 2^n."""
    touched = {q for i in circuit for q in i.qubits}
    return [IDLE_DROPPED] if size == 2 ** len(touched) or size < 2**circuit.num_qubits else []


def top(counts: Mapping[str, int], number: int = 4) -> str:
    """The most frequent outcomes."""
    first = sorted(counts.items(), key=lambda pair: -pair[1])[:number]
    return ", ".join(f"{key!r}: {value}" for key, value in first) + (", ..." if len(counts) > number else "")
