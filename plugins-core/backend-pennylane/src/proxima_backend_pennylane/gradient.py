"""Gradients by the adjoint method (Jones and Gacon, arXiv:2009.02823), in Lightning's compiled code.

With psi the final state and lambda = O psi, the derivative is 2 Re <lambda| d psi>: Lightning's vector-Jacobian product
of the state with lambda. Unlike its `AdjointJacobian` this can go in pieces: after the product over the last steps,
these are undone on psi and on lambda, and the product over the steps before them follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.contracts.observable import PauliSum
from proxima_backend_pennylane.gates import NO_MATRIX, Step, Turn, inverted
from proxima_backend_pennylane.pauli import act
from proxima_backend_pennylane.states import PureState

METHOD = "adjoint"
PIECE = 1e8  # operations times amplitudes between two looks at the context
_PASSES_PER_STEP = 4  # a product undoes each step on two states and compares them


def adjoint(
    lightning: ModuleType,
    final: PureState,
    steps: Sequence[Step],
    turns: Sequence[Turn],
    observables: Sequence[PauliSum],
    num_parameters: int,
    context: RunContext,
) -> npt.NDArray[np.float64]:
    """The derivatives of expectation values, shape (number of observables, number of parameters).

    Args:
        lightning: Its extension.
        final: The state after the steps; it is not changed.
        steps: From |0...0>.
        turns: Those that turn by a parameter, in order.
        observables: Of n qubits.
        num_parameters: How many parameters there are.
        context: Asked between two pieces whether to go on.

    Raises:
        CancelledError, DeadlineExceededError: Between two pieces of about a quarter of a second.
    """
    found = np.zeros((len(observables), num_parameters))
    size = max(1, int(PIECE / _PASSES_PER_STEP / 2**final.num_qubits))
    pieces = [(start, list(steps[start : start + size])) for start in range(0, len(steps), size)]
    first = turns[0].step if turns else len(steps)
    pieces = [piece for piece in pieces if piece[0] + len(piece[1]) > first]  # before that nothing has a derivative
    products = [_Product(lightning, piece, turns, start, final.dtype) for start, piece in pieces]
    amplitudes = final.amplitudes()
    for number, (row, observable) in enumerate(zip(found, observables, strict=True)):
        psi = final.copy()
        bra = final.copy()
        bra.vector.updateData(act(observable, amplitudes, context.check))
        for left in range(len(pieces) - 1, -1, -1):
            context.check()
            context.progress((number + 1 - (left + 1) / len(pieces)) / len(observables), "differentiating")
            products[left].add_to(row, psi, bra)
            if left:
                back = list(inverted(pieces[left][1]))
                context.check()
                psi.apply(back, context.check)
                bra.apply(back, context.check)
    return found


class _Product:
    """Lightning's vector-Jacobian product over some of the steps."""

    def __init__(
        self, lightning: ModuleType, steps: Sequence[Step], turns: Sequence[Turn], start: int, dtype: Any
    ) -> None:
        double = dtype == np.complex128
        algorithms = lightning.algorithms
        make = algorithms.create_ops_listC128 if double else algorithms.create_ops_listC64
        self._product = (algorithms.VectorJacobianProductC128 if double else algorithms.VectorJacobianProductC64)()
        self._operations = make(
            [step.name for step in steps],
            [step.params for step in steps],
            [step.wires for step in steps],
            [step.inverse for step in steps],
            [step.matrix.astype(dtype) if step.matrix is not NO_MATRIX else NO_MATRIX.astype(dtype) for step in steps],
            [step.controls for step in steps],
            [[True] * len(step.controls) for step in steps],
        )
        # Lightning numbers the steps that have a parameter, whether it is to be differentiated or not.
        places = np.cumsum([0, *(bool(step.params) for step in steps)])
        self._turns = [turn for turn in turns if start <= turn.step < start + len(steps)]
        self._wanted = [int(places[turn.step - start]) for turn in self._turns]

    def add_to(self, row: npt.NDArray[np.float64], psi: PureState, bra: PureState) -> None:
        """Adds the steps' derivatives to those by their parameters."""
        if not self._turns:
            return
        found = self._product(psi.vector, self._operations, bra.amplitudes(), self._wanted)
        for turn, value in zip(self._turns, np.asarray(found).tolist(), strict=True):
            row[turn.parameter] += 2 * turn.slope * value.real
