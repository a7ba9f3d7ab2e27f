"""Stabiliser states in Cirq's CH form (Bravyi et al., arXiv:1808.00128): |psi> = omega U_C U_H |s>."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op

# A method of `cirq.StabilizerStateChForm`, positions among the gate's qubits, and an exponent.
Call = tuple[Callable[..., None], tuple[int, ...], float]


class CliffordOperation(NamedTuple):
    """A Clifford gate on given qubits."""

    calls: tuple[Call, ...]
    qubits: tuple[int, ...]


@cache
def clifford_calls() -> dict[int, tuple[Call, ...]]:
    """Every Clifford gate of the vocabulary, up to a global phase, by operation code."""
    import cirq

    form = cirq.StabilizerStateChForm

    def x(q: int, exponent: float = 1.0) -> Call:
        return form.apply_x, (q,), exponent

    def z(q: int, exponent: float = 1.0) -> Call:
        return form.apply_z, (q,), exponent

    def h(q: int) -> Call:
        return form.apply_h, (q,), 1.0

    def cx(a: int, b: int) -> Call:
        return form.apply_cx, (a, b), 1.0

    def cz(a: int, b: int) -> Call:
        return form.apply_cz, (a, b), 1.0

    return {
        Op.ID: (),
        Op.X: (x(0),),
        Op.Y: (z(0), x(0)),
        Op.Z: (z(0),),
        Op.H: (h(0),),
        Op.S: (z(0, 0.5),),
        Op.SDG: (z(0, 1.5),),
        Op.SX: (x(0, 0.5),),
        Op.SXDG: (x(0, 1.5),),
        Op.CX: (cx(0, 1),),
        Op.CY: (z(1, 1.5), cx(0, 1), z(1, 0.5)),
        Op.CZ: (cz(0, 1),),
        Op.SWAP: (cx(0, 1), cx(1, 0), cx(0, 1)),
        Op.ISWAP: (z(0, 0.5), z(1, 0.5), h(0), cx(0, 1), cx(1, 0), h(1)),
        Op.ECR: (cz(0, 1), x(1, 0.5), cz(0, 1), x(0)),
    }


class _Pauli(NamedTuple):
    """i^phase X^x Z^z."""

    phase: int
    x: npt.NDArray[np.bool_]
    z: npt.NDArray[np.bool_]

    def times(self, other: _Pauli) -> _Pauli:
        swaps = int(np.count_nonzero(self.z & other.x))
        return _Pauli((self.phase + other.phase + 2 * swaps) % 4, self.x ^ other.x, self.z ^ other.z)


class Stabilizer:
    """A stabiliser state; axis i of the form is qubit i."""

    def __init__(self, num_qubits: int) -> None:
        import cirq

        self._form = cirq.StabilizerStateChForm(num_qubits)

    def copy(self) -> Self:
        """An independent copy."""
        other = object.__new__(type(self))
        other._form = self._form.copy()
        return other

    def apply(self, operation: CliffordOperation) -> None:
        """Applies a Clifford gate."""
        qubits = operation.qubits
        for method, positions, exponent in operation.calls:
            method(self._form, *[qubits[p] for p in positions], exponent)

    def probability_of_one(self, qubit: int) -> float:
        """The probability that a measurement of the qubit gives 1: 0, 1/2 or 1."""
        f = self._form
        row = f.G[qubit]
        return 0.5 if (row & f.v).any() else float(np.count_nonzero(row & f.s) % 2)

    def project(self, qubit: int, bit: int) -> None:
        """Puts the qubit where a measurement that gave ``bit`` leaves it."""
        self._form.project_Z(qubit, bit)
        self._form.omega /= abs(self._form.omega)

    def sample(self, qubits: Sequence[int], shots: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Samples the listed qubits: uint8, shape (shots, len(qubits)).

        U_H |s> is a uniform superposition over the bits where v is set, and U_C maps the basis state u to the basis
        state G u: no collapse is needed.
        """
        f = self._form
        u = np.broadcast_to(f.s, (shots, f.n)).astype(np.uint8)
        free = np.flatnonzero(f.v)
        u[:, free] = rng.integers(0, 2, size=(shots, len(free)), dtype=np.uint8)
        # Products wrap modulo 256, which leaves the parity as it is.
        return (u @ f.G[list(qubits)].T.astype(np.uint8)) & np.uint8(1)

    def moments(self, observable: PauliSum) -> tuple[float, float]:
        """<H> and <H^2>, exactly."""
        terms = [(c, self._pulled_back(letters)) for c, letters in observable.terms]
        first = sum(c * self._value(p) for c, p in terms)
        second = sum(a * b * self._value(p.times(q)) for a, p in terms for b, q in terms)
        return first.real, second.real

    def _pulled_back(self, letters: str) -> _Pauli:
        """U_C^-1 P U_C of a Pauli string."""
        f = self._form
        none = np.zeros(f.n, dtype=np.bool_)
        out = _Pauli(0, none, none)
        for qubit, letter in enumerate(reversed(letters)):
            if letter in "XY":
                out = out.times(_Pauli(int(f.gamma[qubit]), f.F[qubit], f.M[qubit]))
            if letter in "ZY":
                out = out.times(_Pauli(0, none, f.G[qubit]))
            if letter == "Y":
                out = _Pauli((out.phase + 1) % 4, out.x, out.z)  # Y = i X Z
        return out

    def _value(self, pauli: _Pauli) -> complex:
        """<s| U_H P U_H |s>."""
        f = self._form
        # Where v is set the qubit is |+> or |->, an eigenstate of X alone; elsewhere |0> or |1>, of Z alone.
        if np.where(f.v, pauli.z, pauli.x).any():
            return 0j
        sign = np.count_nonzero(f.s & np.where(f.v, pauli.x, pauli.z))
        return complex(1j ** ((pauli.phase + 2 * sign) % 4))


def calls_on(op: int, qubits: Sequence[int]) -> Any:
    """The Clifford gate on the given qubits."""
    return CliffordOperation(clifford_calls()[op], tuple(qubits))
