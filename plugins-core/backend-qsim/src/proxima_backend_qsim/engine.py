"""qsim's compiled extension, driven directly.

Importing the package ``qsimcirq`` imports Cirq, which takes seconds. The extension inside it needs nothing of Cirq and
loads in milliseconds, so it is loaded by its file name; the package is imported only where that fails.
Source of the interface: ``pybind_interface/pybind_main.cpp`` of quantumlib/qsim.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from proxima.contracts.backend import RunContext
from proxima.errors import BackendUnavailableError, RunError
from proxima_backend_qsim.gates import Gate

State = npt.NDArray[np.complex64]

# What `qsim_decide.detect_instructions` answers.
_VARIANTS = {0: "qsim_avx512", 1: "qsim_avx2", 2: "qsim_sse"}
_NAMES = tuple(f"qsimcirq.{name}" for name in (*_VARIANTS.values(), "qsim_basic"))

# A call into the engine holds the GIL and cannot be interrupted, so long circuits go in pieces of about 0.3 s: this
# many passes over an amplitude. A constant, because where a circuit is cut shows in the last bits of the result.
PIECE = 5e8

_loading = threading.Lock()


def folder() -> Path | None:
    """Where the package ``qsimcirq`` lies; ``None`` where it is not installed. Imports nothing."""
    spec = importlib.util.find_spec("qsimcirq")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def loaded() -> bool:
    """Whether the extension is in memory already."""
    return any(name in sys.modules for name in _NAMES)


def load() -> ModuleType:
    """The extension for this processor's instruction set.

    Raises:
        BackendUnavailableError: qsimcirq is not installed, or its extension cannot be loaded.
    """
    for name in _NAMES:
        if name in sys.modules:
            return sys.modules[name]
    where = folder()
    if where is None:
        raise BackendUnavailableError(
            "qsimcirq is not installed", hint="pip install proxima-backend-qsim", plugin="backend-qsim"
        )
    with _loading:
        try:
            decide = _extension(where, "qsim_decide")
            return _extension(where, _VARIANTS.get(decide.detect_instructions(), "qsim_basic"))
        except (ImportError, AttributeError) as direct:
            return _through_package(direct)


def _extension(where: Path, name: str) -> ModuleType:
    full_name = f"qsimcirq.{name}"
    if full_name in sys.modules:
        return sys.modules[full_name]
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = where / (name + suffix)
        if path.exists():
            spec = importlib.util.spec_from_file_location(full_name, path)
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                # A pybind11 module cannot be initialised twice: a later `import qsimcirq` must find this one.
                sys.modules[full_name] = module
                return module
    raise ImportError(f"there is no extension {name} in {where}")


def _through_package(direct: Exception) -> ModuleType:
    try:
        module: ModuleType = importlib.import_module("qsimcirq").qsim
    except Exception as error:
        raise BackendUnavailableError(
            f"qsimcirq is installed but cannot be loaded: {direct}; importing it: {error}",
            hint="pip install --force-reinstall qsimcirq",
            plugin="backend-qsim",
        ) from error
    return module


def physical_memory() -> int:
    """Bytes of memory this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cut(gates: Sequence[Gate], passes: int) -> Iterator[list[Gate]]:
    """Cuts gates into pieces of a number of passes over the state.

    One-qubit gates are held back until a larger gate on their qubit comes, with which the engine fuses them; so they
    cost no pass, and no cut falls between the two.
    """
    piece: list[Gate] = []
    cost = 0
    held: dict[int, list[Gate]] = {}
    for gate in gates:
        qubits = gate[1]
        if len(qubits) == 1:
            held.setdefault(qubits[0], []).append(gate)
            continue
        for qubit in qubits:
            piece += held.pop(qubit, ())
        piece.append(gate)
        cost += 1
        if cost >= passes:
            yield piece
            piece, cost = [], 0
    for alone in held.values():
        piece += alone
        cost += 1
        if cost >= passes:
            yield piece
            piece, cost = [], 0
    if piece:
        yield piece


class Engine:
    """Evolves statevectors of a fixed number of qubits.

    Args:
        module: What `load` returned.
        num_qubits: 0 is run as 1.
        threads: OpenMP threads that the engine may use.
    """

    def __init__(self, module: ModuleType, num_qubits: int, threads: int = 1) -> None:
        self._qsim = module
        self._kinds: dict[str, Any] = {}
        self.num_qubits = num_qubits
        self._width = max(num_qubits, 1)
        self._options = {
            # Fusing to three qubits pays once the state has left the processor's cache.
            "f": 3 if num_qubits >= 17 else 2,
            "t": threads,
            "r": 1,
            "g": False,
            "gmode": 0,
            "gsst": 512,
            "gdb": 16,
            "v": 0,
            "z": False,
            "s": 0,
        }
        self.piece = max(1, int(PIECE / 2**num_qubits))  # in passes over the state

    def with_threads(self, threads: int) -> Engine:
        """The same engine with another number of threads."""
        return Engine(self._qsim, self.num_qubits, threads)

    def compile(self, gates: Sequence[Gate]) -> list[Any]:
        """The engine's own circuits: one, or for a long run several of about 0.3 s each."""
        larger = sum(len(qubits) > 1 for _, qubits, _ in gates)
        if larger + min(len(gates) - larger, self.num_qubits) <= 1.5 * self.piece:
            return [self._circuit(gates)] if gates else []
        return [self._circuit(piece) for piece in _cut(gates, self.piece)]

    def _circuit(self, gates: Sequence[Gate]) -> Any:
        circuit = self._qsim.Circuit()
        circuit.num_qubits = self._width
        add_gate, add_matrix, add_diagonal = (
            self._qsim.add_gate,
            self._qsim.add_matrix_gate,
            self._qsim.add_diagonal_gate,
        )
        kinds = self._kinds
        none: dict[str, float] = {}
        for time, (name, qubits, numbers) in enumerate(gates):
            if name == "matrix":
                add_matrix(time, qubits, numbers, circuit)
            elif name == "diagonal":
                add_diagonal(time, qubits, numbers, circuit)
            else:
                kind = kinds.get(name)
                if kind is None:
                    kind = kinds[name] = getattr(self._qsim, name)
                add_gate(kind, time, qubits, none, circuit)
        return circuit

    def zero(self) -> State:
        """|0...0>."""
        state = np.zeros(2**self.num_qubits, dtype=np.complex64)
        state[0] = 1.0
        return state

    def run(self, pieces: Sequence[Any], state: State | None, context: RunContext, *, report: bool = False) -> State:
        """The state after compiled pieces.

        Args:
            pieces: What `compile` made.
            state: complex64, shape (2^n,), qubit 0 the least significant index bit; ``None`` for |0...0>. Not changed.
            context: Asked between two pieces whether to go on.
            report: Whether to tell the context's progress.

        Raises:
            CancelledError, DeadlineExceededError: Between two pieces.
            RunError: The engine failed.
        """
        for i, circuit in enumerate(pieces):
            context.check()
            if report and len(pieces) > 1:
                context.progress(i / len(pieces), "evolving the state")
            start: Any = 0 if state is None else self._padded(state)
            amplitudes = self._qsim.qsim_simulate_fullstate({**self._options, "c": circuit}, start)
            if amplitudes.size != 2 * 2**self._width:
                raise RunError(f"qsim could not simulate {self.num_qubits} qubits; its message is on standard error")
            state = amplitudes.view(np.complex64)[: 2**self.num_qubits]
        context.check()
        return self.zero() if state is None else state

    def apply(self, gates: Sequence[Gate], state: State | None, context: RunContext) -> State:
        """The state after gates."""
        return self.run(self.compile(gates), state, context)

    def _padded(self, state: State) -> npt.NDArray[np.float32]:
        if self.num_qubits == 0:
            state = np.append(state, np.complex64(0))
        return state.view(np.float32)
