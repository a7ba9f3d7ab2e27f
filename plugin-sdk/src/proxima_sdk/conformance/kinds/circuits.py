"""Circuits that several kits try."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.operations import OPERATIONS, Op
from proxima.errors import UnsupportedError
from proxima_sdk.circuits import haar_unitary, random_kraus


def unwritten(write: Callable[[Circuit], object], op: Op) -> str | None:
    """How writing a circuit with the operation went wrong.

    Returns:
        ``None`` where it was written, an empty text where it was refused by an `UnsupportedError` that names it.
    """
    try:
        write(holding(op))
    except UnsupportedError as error:
        return "" if OPERATIONS[op].name in str(error).lower() else f"UnsupportedError: {error}"
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        return f"{type(error).__name__}: {error}"
    return None


def holding(op: Op) -> Circuit:
    """A circuit that holds the operation once, after each of its qubits was brought into a state of its own."""
    _, qubits, params, _, _, matrices = example(op)
    circuit = Circuit.builder(len(qubits))
    for qubit in qubits:
        circuit.ry(0.3 + 0.4 * qubit, qubit)
    return circuit.append(op, qubits, params, matrices=matrices).build()


def example(op: Op) -> Instruction:
    """The operation on as many qubits as it takes, from 0 on, at no special parameters."""
    rng = np.random.default_rng(9)
    size = OPERATIONS[op].num_qubits or 1
    params = tuple(0.1 * (i + 1) for i in range(len(OPERATIONS[op].params)))
    matrices = {Op.UNITARY: (haar_unitary(size, rng),), Op.KRAUS: random_kraus(size, 2, rng)}.get(op, ())
    return Instruction(op, tuple(range(size)), params, matrices=matrices)
