"""A noise model as JSON: ours, or Qiskit Aer's, which is told by its ``errors``.

    {"rules": [{"channel": "depolarizing", "params": [0.01], "gates": ["cx"], "qubits": [0, 1]},
               {"channel": "depolarizing2", "params": [0.02], "gate_qubits": [[0, 1], [1, 0]]},
               {"channel": "thermal_relaxation", "t1": 50e-6, "t2": 70e-6, "time": 1e-7, "excited": 0.01},
               {"channel": "kraus", "kraus": [[[[1, 0], [0, 0]], [[0, 0], [0.8, 0]]],
                                              [[[0, 0], [0.6, 0]], [[0, 0], [0, 0]]]]}],
     "readout": {"0": [0.01, 0.03], "default": [0.02, 0.02]}}

What a rule may leave out is as in `NoiseRule`; a complex number is ``[re, im]``. ``readout`` gives the chances of 1
recorded for 0 and of 0 recorded for 1.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

from proxima.contracts.noise import Matrix, NoiseModel, NoiseRule, thermal_relaxation
from proxima.contracts.operations import BY_NAME, OPERATIONS, Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import UsageError

MAX_BYTES = 2**24
_DEFAULT = "default"
_FILTERS = {"channel", "gates", "qubits", "gate_qubits", "except_for", "positions"}
_KEYS = {"thermal_relaxation": {"channel", "gates", "qubits", "t1", "t2", "time", "excited"}}
_KEYS["kraus"] = _FILTERS | {"kraus"}


def read_noise(path: str | os.PathLike[str]) -> NoiseModel:
    """The model in a file, ours or Aer's.

    Raises:
        UsageError: The file cannot be read or does not hold what it should; the message names the place.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: the noise model cannot be read: {error}") from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{path}: a noise model of more than {MAX_BYTES:,} bytes is not read")
    return from_json(raw, str(path))


def from_json(text: str | bytes, where: str) -> NoiseModel:
    """The model that `to_json` wrote, or Aer's dictionary as JSON.

    Raises:
        UsageError: Naming ``where`` it is: it is something else.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not a noise model in JSON: {error}") from None
    return from_data(data, where)


def from_data(data: Any, where: str) -> NoiseModel:
    """The model that JSON's data says, ours or Aer's.

    Raises:
        UsageError: Naming ``where`` it is: it is something else.
    """
    if isinstance(data, dict) and "errors" in data:
        from proxima.contracts.noise_aer import from_dict

        return from_dict(data, where)
    if not isinstance(data, dict) or not set(data) <= {"rules", "readout"}:
        raise UsageError(f"{where}: not a noise model", hint="an object with rules, readout or both")
    rules: list[NoiseRule] = []
    for number, entry in enumerate(_list(data.get("rules", []), f"{where}: rules")):
        rules += _rules(entry, f"{where}: rule {number}")
    readout = data.get("readout", {})
    if not isinstance(readout, dict) or not all(key == _DEFAULT or key.isdecimal() for key in readout):
        raise UsageError(f"{where}: readout maps qubits, or {_DEFAULT}, to two probabilities")
    errors = {
        None if qubit == _DEFAULT else int(qubit): ReadoutError(*_numbers(two, 2, f"{where}: readout {qubit}"))
        for qubit, two in readout.items()
    }
    return NoiseModel(tuple(rules), errors)


def _rules(entry: Any, where: str) -> tuple[NoiseRule, ...]:
    if not isinstance(entry, dict) or not isinstance(name := entry.get("channel"), str):
        raise UsageError(f"{where} names no channel")
    known = _KEYS.get(name, _FILTERS | {"params"})
    if not set(entry) <= known:
        raise UsageError(f"{where}: {min(set(entry) - known)!r} is unknown", hint=f"known: {', '.join(sorted(known))}")
    gates = frozenset(_names(entry["gates"], f"{where}: gates")) if "gates" in entry else None
    qubits = frozenset(_qubits(entry["qubits"], f"{where}: qubits")) if "qubits" in entry else None
    if name == "thermal_relaxation":
        t1, t2, time = _numbers([entry.get(key) for key in ("t1", "t2", "time")], 3, f"{where}: t1, t2 and time")
        (excited,) = _numbers([entry.get("excited", 0.0)], 1, f"{where}: excited")
        return thermal_relaxation(t1, t2, time, excited=excited, gates=gates, qubits=qubits)
    spec = BY_NAME.get(name)
    if spec is None:
        raise UsageError(f"{where}: there is no channel {name!r}")
    params = _numbers(entry.get("params", []), len(spec.params), f"{where}: {name} ({', '.join(spec.params)})")
    positions = tuple(_qubits(entry["positions"], f"{where}: positions")) if "positions" in entry else None
    try:
        rule = NoiseRule(
            spec.op,
            tuple(params),
            gates,
            qubits,
            tuple(_matrix(m, f"{where}: kraus") for m in _list(entry.get("kraus", []), f"{where}: kraus")),
            _lists(entry["gate_qubits"], f"{where}: gate_qubits") if "gate_qubits" in entry else None,
            _lists(entry.get("except_for", []), f"{where}: except_for"),
            positions,
        )
    except UsageError as error:
        told = str(error)
        raise UsageError(told if told.startswith(where) else f"{where}: {told}", hint=error.hint) from None
    return (rule,)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise UsageError(f"{where} is not a list")
    return value


def _names(value: Any, where: str) -> list[str]:
    if not all(isinstance(name, str) for name in _list(value, where)):
        raise UsageError(f"{where}: a gate is named by its name")
    return list(value)


def _qubits(value: Any, where: str) -> list[int]:
    if not all(isinstance(q, int) and not isinstance(q, bool) and q >= 0 for q in _list(value, where)):
        raise UsageError(f"{where}: a qubit is a number from 0")
    return list(value)


def _lists(value: Any, where: str) -> frozenset[tuple[int, ...]]:
    return frozenset(tuple(_qubits(each, where)) for each in _list(value, where))


def _matrix(value: Any, where: str) -> Matrix:
    rows = [_list(row, where) for row in _list(value, where)]
    return tuple(tuple(complex(*_numbers(pair, 2, where)) for pair in row) for row in rows)


def _numbers(value: Any, count: int, where: str) -> list[float]:
    if (
        not isinstance(value, list)
        or len(value) != count
        or not all(isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x) for x in value)
    ):
        raise UsageError(f"{where}: {count} number{'s' * (count != 1)} expected, not {value!r}")
    return [float(x) for x in value]


def to_json(model: NoiseModel) -> str:
    """The model as JSON on one line."""
    readout = {
        _DEFAULT if qubit is None else str(qubit): [error.one_for_zero, error.zero_for_one]
        for qubit, error in model.readout.items()
    }
    data: dict[str, Any] = {"rules": [_rule_to_dict(rule) for rule in model.rules]}
    return json.dumps(data | ({"readout": readout} if readout else {}))


def _rule_to_dict(rule: NoiseRule) -> dict[str, Any]:
    out: dict[str, Any] = {"channel": OPERATIONS[rule.channel].name}
    if rule.channel is Op.KRAUS:
        out["kraus"] = [[[[x.real, x.imag] for x in row] for row in matrix] for matrix in rule.kraus]
    else:
        out["params"] = list(rule.params)
    for name, values in (("gates", rule.gates), ("qubits", rule.qubits), ("gate_qubits", rule.gate_qubits)):
        if values is not None:
            out[name] = sorted(values)
    if rule.except_for:
        out["except_for"] = sorted(rule.except_for)
    if rule.positions is not None:
        out["positions"] = list(rule.positions)
    return out
