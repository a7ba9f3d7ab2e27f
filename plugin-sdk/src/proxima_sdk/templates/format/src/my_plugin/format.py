"""A circuit file format: JSON with a list of operations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxima.contracts.circuit import Circuit, CircuitBuilder, Condition, Instruction, Parameter
from proxima.contracts.operations import BY_NAME, OPERATIONS
from proxima.errors import CircuitError, CircuitSyntaxError, UnsupportedError
from proxima_sdk import Format

MARK = "my-plugin 1"
MOST_BITS = 10_000


class JsonCircuit(Format):
    """Everything but matrices of the user's own: gates, noise by name, conditions, resets and open angles."""

    name = "my-plugin"
    extensions = (".qjson",)

    def recognises(self, head: bytes) -> bool:
        """The mark stands in the first line."""
        return head.lstrip().startswith(b"{") and f'"format": "{MARK}"'.encode() in head[:200]

    def dump(self, circuit: Circuit) -> str:
        """One line an operation, so that two versions of a file compare well."""
        head = {"format": MARK, "qubits": circuit.num_qubits, "bits": circuit.num_clbits, "name": circuit.name}
        lines = ",\n".join(json.dumps(_written(instruction)) for instruction in circuit)
        return f'{json.dumps(head)[:-1]}, "operations": [\n{lines}\n]}}\n'

    def load(self, data: bytes, *, source: str, directory: Path | None) -> Circuit:
        """Reads it; what is wrong is told with the number of the operation."""
        try:
            file = json.loads(data.decode())
        except json.JSONDecodeError as error:
            token = error.doc[error.pos : error.pos + 20]
            raise CircuitSyntaxError(
                error.msg, path=source, line=error.lineno, column=error.colno, token=token
            ) from None
        except (UnicodeDecodeError, RecursionError) as error:
            raise _wrong(f"it is no JSON: {error}", source, 0, "") from None
        number, entry = 0, file
        try:
            builder = _header(file)
            for number, entry in enumerate(file["operations"], start=1):  # noqa: B007 - the errors below name it
                _read(entry, builder)
            number, entry = 0, ""
            return builder.build()
        except KeyError as error:
            raise _wrong(f"{error.args[0]!r} is missing", source, number, entry) from None
        except (CircuitError, TypeError, ValueError, OverflowError) as error:
            raise _wrong(str(error), source, number, entry) from None


def _written(instruction: Instruction) -> dict[str, Any]:
    name = OPERATIONS[instruction.op].name
    if instruction.matrices:
        raise UnsupportedError(f"{name} has a matrix of its own, which this format cannot hold")
    entry: dict[str, Any] = {"op": name, "on": list(instruction.qubits)}
    if instruction.params:
        entry["angles"] = [_angle(value) for value in instruction.params]
    if instruction.clbit >= 0:
        entry["to"] = instruction.clbit
    if (condition := instruction.condition) is not None:
        entry["if"] = {"bits": list(condition.clbits), "value": condition.value, "not": condition.negated}
    return entry


def _angle(value: float | Parameter) -> Any:
    return {"name": value.name, "times": value.coefficient} if isinstance(value, Parameter) else float(value)


def _header(file: Any) -> CircuitBuilder:
    if not isinstance(file, dict) or file.get("format") != MARK:
        raise ValueError(f'expected an object with "format": "{MARK}"')
    sizes = [_whole(file[name]) for name in ("qubits", "bits")]
    if max(sizes) > MOST_BITS:
        raise ValueError(f"{max(sizes)} qubits or bits are more than {MOST_BITS}")
    if not isinstance(file["operations"], list):
        raise ValueError("operations: expected a list")
    return Circuit.builder(*sizes, name=str(file.get("name", "")))


def _read(entry: Any, builder: CircuitBuilder) -> None:
    if not isinstance(entry, dict):
        raise ValueError("expected an object for each operation")
    spec = BY_NAME.get(str(entry["op"]))
    if spec is None:
        raise ValueError(f"there is no operation called {entry['op']!r}")
    condition = None
    if (given := entry.get("if")) is not None:
        bits = tuple(_whole(bit) for bit in given["bits"])
        condition = Condition(bits, _whole(given["value"]), bool(given["not"]))
    builder.append(
        spec.op,
        [_whole(qubit) for qubit in entry["on"]],
        [_number(value) for value in entry.get("angles", ())],
        clbit=_whole(entry["to"]) if "to" in entry else -1,
        condition=condition,
    )


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError(f"expected a whole number from 0 to 2^31 - 1, got {value!r:.40}")
    return value


def _number(value: Any) -> float | Parameter:
    if isinstance(value, dict):
        return Parameter(str(value["name"]), float(value["times"]))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {value!r:.40}")
    return float(value)


def _wrong(message: str, source: str, number: int, entry: Any) -> CircuitSyntaxError:
    where = f"operation {number}: " if number else ""
    return CircuitSyntaxError(where + message, path=source, line=number + 1, column=1, token=f"{entry!r:.60}")
