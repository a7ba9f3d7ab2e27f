"""QuEST, reached through qoqo: found without importing it, and run in short pieces.

A call of the engine holds Python's interpreter lock to its end and forgets the state, so a long run hands the state
from piece to piece. Amplitudes travel as Python numbers, which is slow: the size of a state is limited so that a run
can stop within a second.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.contracts.observable import PauliSum
from proxima.errors import BackendUnavailableError, RunError
from proxima_backend_quest import gates

State = npt.NDArray[np.complex128]

MODULES = {"qoqo": "qoqo", "qoqo_quest": "qoqo-quest"}
HINT = "pip install proxima-backend-quest; the engine has wheels for Python 3.11 to 3.13, and none for Linux on ARM"
MAX_AMPLITUDE_BITS = 21
PASS_SECONDS = 1.6e-9
"""What one gate takes per amplitude of a vector; the entry of a density matrix takes twice that."""
_PIECE_SECONDS = 0.2
_READOUT = "out"


def missing() -> str:
    """The name of the first distribution that is not here; imports nothing."""
    for module, distribution in MODULES.items():
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            return distribution
    return ""


@cache
def versions() -> Mapping[str, str]:
    """The installed distributions."""
    found = {}
    for distribution in MODULES.values():
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[distribution] = "unknown"
    return found


def is_loaded() -> bool:
    """Whether the engine is imported already."""
    return "qoqo_quest" in sys.modules


def load() -> tuple[Any, Any, Any]:
    """QuEST's ``Backend``, qoqo's ``Circuit`` and its ``operations``.

    Raises:
        BackendUnavailableError: One of them is not installed or cannot be loaded.
    """
    try:
        from qoqo import Circuit, operations
        from qoqo_quest import Backend
    except ImportError as error:
        raise BackendUnavailableError(
            f"QuEST cannot be imported: {error}", hint=HINT, plugin="backend-quest"
        ) from error
    return Backend, Circuit, operations


class Register:
    """The qubits of a circuit as the engine holds them.

    Attributes:
        mixed: Whether the state is a density matrix, shape (2^n, 2^n), rather than a vector, shape (2^n,).
    """

    def __init__(self, num_qubits: int, *, mixed: bool) -> None:
        self.num_qubits = max(num_qubits, 1)  # the engine has no register without qubits
        self.mixed = mixed
        self._backend, self._circuit, self._operations = load()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a state."""
        return (2**self.num_qubits,) * (2 if self.mixed else 1)

    def zero(self) -> State:
        """|0...0>."""
        state = np.zeros(self.shape, dtype=np.complex128)
        state.flat[0] = 1
        return state

    def evolve(self, state: State | None, steps: Sequence[Any], context: RunContext, *, report: bool = False) -> State:
        """The state after operations of qoqo; ``None`` is |0...0>.

        Raises:
            CancelledError, DeadlineExceededError: Between two pieces.
            RunError: The engine failed.
        """
        seconds = float(np.prod(self.shape)) * PASS_SECONDS * (2 if self.mixed else 1)
        size = max(1, int(_PIECE_SECONDS / seconds))
        if self.mixed and state is None:
            state = self.zero()  # without this the engine would evolve a vector until it meets noise
        for begin in range(0, len(steps), size):
            context.check()
            state = self._piece(state, steps[begin : begin + size])
            if report:
                context.progress(min(1.0, (begin + size) / len(steps)), "QuEST")
        return self.zero() if state is None else state

    def dephasing(self, qubit: int) -> list[Any]:
        """What a measurement does whose outcome is forgotten."""
        return gates.dephasing(self._operations, qubit, 0.5)

    def _piece(self, state: State | None, steps: Sequence[Any]) -> State:
        o = self._operations
        circuit = self._circuit()
        circuit += o.DefinitionComplex(_READOUT, int(np.prod(self.shape)), True)
        self._set(circuit, state)
        for step in steps:
            circuit += step
        circuit += o.PragmaGetDensityMatrix(_READOUT, None) if self.mixed else o.PragmaGetStateVector(_READOUT, None)
        numbers = self._run(circuit)[2][_READOUT][0]
        return np.array(numbers, dtype=np.complex128).reshape(self.shape)

    def _set(self, circuit: Any, state: State | None) -> None:
        if state is not None:
            o = self._operations
            circuit += o.PragmaSetDensityMatrix(state) if self.mixed else o.PragmaSetStateVector(state)

    def expectation(self, state: State, observable: PauliSum) -> float:
        """The expectation value of an observable."""
        o = self._operations
        circuit = self._circuit()
        self._set(circuit, state)
        for i, (_, letters) in enumerate(observable.terms):
            paulis = {q: "IXYZ".index(letter) for q, letter in enumerate(reversed(letters)) if letter != "I"}
            circuit += o.DefinitionFloat(f"{_READOUT}{i}", 1, True)
            circuit += o.PragmaGetPauliProduct(paulis, f"{_READOUT}{i}", self._circuit())
        read = self._run(circuit)[1]
        return float(sum(c * read[f"{_READOUT}{i}"][0][0] for i, (c, _) in enumerate(observable.terms)))

    def _run(self, circuit: Any) -> Any:
        try:
            return self._backend(self.num_qubits).run_circuit(circuit)
        except RuntimeError as error:
            raise RunError(f"quest: the engine failed: {error}") from error
