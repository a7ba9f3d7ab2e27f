"""What the tests share: the matrix of a circuit by its reference definitions, and loading from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from proxima.contracts.circuit import Circuit
from proxima.contracts.matrices import unitary
from proxima.contracts.operations import Op
from proxima_format_openqasm.formats import OpenQasm2, OpenQasm3

Matrix = np.ndarray


def _matrix(circuit: Circuit) -> Matrix:
    n = circuit.num_qubits
    total = np.eye(2**n, dtype=complex)
    for op, qubits, params, _, condition, matrices in circuit:
        if op in (Op.BARRIER, Op.MEASURE):
            continue
        assert condition is None
        gate = matrices[0] if op is Op.UNITARY else unitary(op, [float(p) for p in params])
        k = len(qubits)
        axes = [n - 1 - q for q in reversed(qubits)]
        moved = np.tensordot(gate.reshape((2,) * 2 * k), total.reshape((2,) * n + (-1,)), (range(k, 2 * k), axes))
        total = np.moveaxis(moved, range(k), axes).reshape(2**n, -1)
    return total


def _assert_same(a: Matrix, b: Matrix) -> None:
    overlap = abs(np.trace(a.conj().T @ b)) / len(a)
    assert overlap == pytest.approx(1, abs=1e-9)


@pytest.fixture(scope="session")
def matrix() -> Callable[[Circuit], Matrix]:
    """The unitary of a circuit; the same bit order as Qiskit's."""
    return _matrix


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Matrix, Matrix], None]:
    """Two unitaries are equal up to a global phase."""
    return _assert_same


@pytest.fixture(scope="session")
def load2() -> Callable[..., Circuit]:
    def load(text: str | bytes, directory: Path | None = None) -> Circuit:
        data = text.encode() if isinstance(text, str) else text
        return OpenQasm2().load(data, source="circuit.qasm", directory=directory)

    return load


@pytest.fixture(scope="session")
def load3() -> Callable[..., Circuit]:
    def load(text: str | bytes, directory: Path | None = None) -> Circuit:
        data = text.encode() if isinstance(text, str) else text
        return OpenQasm3().load(data, source="circuit.qasm", directory=directory)

    return load
