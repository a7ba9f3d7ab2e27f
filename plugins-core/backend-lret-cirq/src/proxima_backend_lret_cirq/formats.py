"""Cirq's JSON as a circuit format; Cirq is imported when a file is read or written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxima.contracts.circuit import Circuit
from proxima.contracts.formats import CircuitFormat
from proxima.errors import CircuitSyntaxError, UnavailableError

if TYPE_CHECKING:
    import cirq


class CirqJson(CircuitFormat):
    """What `cirq.to_json` writes: a circuit, or a list of a circuit and the noise model that acts on its moments.

    Qubits are numbered in Cirq's order, classical bits in that of the measured qubits.
    """

    name = "cirq-json"
    extensions: tuple[str, ...] = (".json",)

    def recognises(self, head: bytes) -> bool:
        """Whether it begins as an object or a list, and names a type of Cirq."""
        return head.lstrip()[:1] in (b"{", b"[") and b'"cirq_type"' in head

    def load(self, data: bytes, *, source: str, directory: Path | None) -> Circuit:
        """Reads a circuit; see `CircuitFormat.load`.

        Raises:
            CircuitSyntaxError: It is no JSON, or not what Cirq writes of a circuit.
            UnsupportedError: It holds an operation that cannot be translated; the message names it.
            UnavailableError: Cirq is not installed.
        """
        circuit, noise = _read(data, source)
        from proxima_lret_core.cirq.translation import translate
        from proxima_lret_core.cirq.unread import without_noise_afterwards

        made = translate(circuit, noise=noise, measuring="bits")
        kept = without_noise_afterwards(made.circuit)
        notes = _notes(made.qubits, noise)
        if len(kept) < len(made.circuit):
            notes += ("Noise after the last measurement of a qubit was left out, since no count can tell of it.",)
        return replace(kept, metadata={"notes": notes})

    def dump(self, circuit: Circuit) -> str:
        """Writes a circuit; see `CircuitFormat.dump`."""
        _cirq()
        from proxima_lret_core.cirq.writing import to_cirq

        return str(_cirq().to_json(to_cirq(circuit))) + "\n"


def _cirq() -> Any:
    try:
        import cirq
    except ImportError as error:
        raise UnavailableError(f"cirq-core cannot be loaded: {error}", hint="pip install cirq-core") from error
    return cirq


def _read(data: bytes, source: str) -> tuple[cirq.Circuit, cirq.NoiseModel | None]:
    cirq = _cirq()
    try:
        text = data.decode("utf-8-sig")
        json.loads(text)
    except json.JSONDecodeError as error:
        raise CircuitSyntaxError(f"no JSON: {error.msg}", path=source, line=error.lineno, column=error.colno) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise CircuitSyntaxError(f"no JSON: {error}", path=source, line=1, column=1) from None
    try:
        found = cirq.read_json(json_text=text)
    except Exception as error:  # the constructors that a file names raise what they like
        told = f"Cirq cannot read it: {type(error).__name__}: {error}"
        raise CircuitSyntaxError(told, path=source, line=1, column=1) from error
    parts = found if isinstance(found, list) else [found]
    if not parts or not isinstance(parts[0], cirq.AbstractCircuit):
        raise _unexpected(parts[0] if parts else found, source)
    if len(parts) == 1:
        return parts[0], None
    if len(parts) > 2 or not isinstance(parts[1], cirq.NoiseModel):
        raise _unexpected(parts[1], source)
    return parts[0], parts[1]


def _unexpected(found: object, source: str) -> CircuitSyntaxError:
    return CircuitSyntaxError(
        f"a circuit, or a list of a circuit and a noise model, is expected, and it holds a {type(found).__name__}",
        path=source,
        line=1,
        column=1,
        hint="write it with cirq.to_json(circuit) or cirq.to_json([circuit, noise_model])",
    )


def _notes(qubits: tuple[cirq.Qid, ...], noise: cirq.NoiseModel | None) -> tuple[str, ...]:
    notes = []
    if list(qubits) != _cirq().LineQubit.range(len(qubits)):
        notes.append(f"Cirq's qubits from qubit 0 on: {', '.join(map(str, qubits))}.")
    if noise is not None:
        notes.append(f"The file's noise model was applied: {noise!r}.")
    return tuple(notes)
