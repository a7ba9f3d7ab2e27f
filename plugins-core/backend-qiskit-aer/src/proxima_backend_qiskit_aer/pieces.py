"""Long runs in pieces, because Aer holds Python's interpreter lock for a whole call.

A statevector or density matrix stays inside Aer's `AerStateWrapper` from piece to piece; a matrix product state, which
is small, is saved and set again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import Op
from proxima_backend_qiskit_aer import engine
from proxima_backend_qiskit_aer.deferred import Step
from proxima_backend_qiskit_aer.translate import Translator

PIECE_SECONDS = 0.25


def in_pieces(
    total: int, first: int, context: RunContext, what: str, do: Callable[[int, int], None], *, adapt: bool = True
) -> None:
    """Calls ``do(start, stop)`` over ``range(total)`` in pieces of about `PIECE_SECONDS`, checking after each.

    Args:
        total: How many items there are.
        first: Size of the first piece; later ones follow what the piece before took.
        context: Checked before the first piece and after each.
        what: The message of the progress reports.
        do: Does the work.
        adapt: Where it shows in the outcome how the items were cut, all pieces have the first one's size instead.
    """
    size, start = max(1, first), 0
    context.check()
    while start < total:
        stop = min(start + size, total)
        began = time.perf_counter()
        do(start, stop)
        took = time.perf_counter() - began
        start = stop
        context.check()
        context.progress(start / total, what)
        if adapt:
            scale = PIECE_SECONDS / max(took, 1e-6)
            size = max(1, int(size * min(scale, 3.0)))


def new_state(aer: Any, method: str, num_qubits: int, threads: int, seed: int) -> Any:
    """An `AerStateWrapper` in |0...0>, in double precision."""
    state = aer.AerStateWrapper()
    state.configure("method", method)
    state.configure("max_parallel_threads", str(threads))
    state.configure("parallel_state_update", str(threads))
    state.allocate_qubits(num_qubits)
    state.initialize()
    state.set_seed(seed)
    return state


def apply(state: Any, step: Step) -> None:
    """Hands one step to a state; Aer collects and fuses until `flush`."""
    op = step.op
    if step.is_channel:
        state.apply_kraus(step.qubits, list(step.all_matrices))
    elif op == Op.CX:
        state.apply_cx(step.qubits)
    else:
        # Also diagonal gates: `apply_diagonal` crashes in Aer's fusion (0.18.2).
        state.apply_unitary(step.qubits, step.all_matrices[0])


def evolve(state: Any, steps: Sequence[Step], first: int, context: RunContext, what: str) -> None:
    """Applies the steps in pieces."""

    def piece(start: int, stop: int) -> None:
        for step in steps[start:stop]:
            apply(state, step)
        state.flush()

    in_pieces(len(steps), first, context, what, piece)


def sample(state: Any, qubits: Sequence[int], shots: int) -> npt.NDArray[np.uint8]:
    """Samples of some qubits, shape (shots, len(qubits)), without changing the state."""
    rows = state.sample_memory(list(qubits), shots)
    bits = np.frombuffer("".join(rows).encode(), np.uint8).reshape(shots, len(qubits)) - ord("0")
    return np.ascontiguousarray(bits[:, ::-1])


def evolve_mps(aer: Any, circuit: Circuit, first: int, context: RunContext, options: dict[str, Any]) -> Any:
    """The matrix product state after the operations of a circuit without measurements, as Aer saves it."""
    n = circuit.num_qubits
    everything = list(range(n))
    saved: Any = None

    def piece(start: int, stop: int) -> None:
        nonlocal saved
        keep = np.zeros(len(circuit), dtype=np.bool_)
        keep[start:stop] = True
        part = Translator(aer, "matrix_product_state", n, 0)
        if saved is not None:
            part.circuit.set_matrix_product_state(everything, [saved])
        part.add(circuit.select(keep))
        part.circuit.save_state(everything, "save_matrix_product_state", "single", "mps")
        answer = engine.execute(
            aer, part.circuit, num_qubits=n, num_memory=0, shots=1, enable_truncation=False, **options
        )
        saved = answer["data"]["mps"]

    in_pieces(len(circuit), first, context, "matrix product state", piece)
    return saved
