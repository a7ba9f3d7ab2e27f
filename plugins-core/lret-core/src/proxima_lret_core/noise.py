"""Noise from a file: rules for gates, thermal relaxation among them, and readout errors.

The file is JSON:

    {"rules": [{"channel": "depolarizing", "params": [0.01], "gates": ["cx"], "qubits": [0, 1]},
               {"channel": "thermal_relaxation", "t1": 50e-6, "t2": 70e-6, "time": 1e-7, "excited": 0.01}],
     "readout": {"0": [0.01, 0.03]}}

``gates`` and ``qubits`` may be left out for all; ``readout`` gives the chances of 1 read for 0 and of 0 read for 1.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from proxima.contracts.noise import NoiseModel, NoiseRule
from proxima.contracts.operations import BY_NAME, CHANNELS, GATES, Op
from proxima.errors import UsageError
from proxima_lret_core.readout import ReadoutError

MAX_BYTES = 2**20
_RULE_KEYS = {"channel", "params", "gates", "qubits"}
_RELAXATION_KEYS = {"channel", "gates", "qubits", "t1", "t2", "time", "excited"}


def thermal_relaxation(
    t1: float,
    t2: float,
    time: float,
    *,
    excited: float = 0.0,
    gates: frozenset[str] | None = None,
    qubits: frozenset[int] | None = None,
) -> tuple[NoiseRule, ...]:
    """Relaxation towards a thermal state over a time, as generalised amplitude damping and dephasing.

    Args:
        t1: Relaxation time, in the unit of ``time``.
        t2: Dephasing time, 0 < t2 <= 2 t1.
        time: How long it acts.
        excited: Probability of |1> in the thermal state.
        gates: As for `NoiseRule`, and
        qubits: likewise.

    Raises:
        UsageError: A number is out of range.
    """
    if not (0 < t1 < math.inf and 0 < t2 <= 2 * t1 and 0 <= time < math.inf and 0 <= excited <= 1):
        raise UsageError(
            f"thermal relaxation with t1 = {t1}, t2 = {t2}, time = {time}, excited = {excited} is not possible",
            hint="t1 > 0, 0 < t2 <= 2 t1, time >= 0, and excited is a probability",
        )
    gamma = -math.expm1(-time / t1)
    dephasing = -math.expm1(time / t1 - 2 * time / t2)
    return (
        NoiseRule(Op.GENERALIZED_AMPLITUDE_DAMPING, (1 - excited, gamma), gates, qubits),
        NoiseRule(Op.PHASE_DAMPING, (dephasing,), gates, qubits),
    )


def read_noise(path: Path) -> tuple[NoiseModel, dict[int, ReadoutError]]:
    """The noise model and the readout errors, by qubit, of a JSON file.

    Raises:
        UsageError: The file cannot be read or does not hold what it should; the message names the place.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise UsageError(f"{path}: a noise model of more than {MAX_BYTES:,} bytes is not read")
        data = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path}: not a noise model in JSON: {error}") from None
    if not isinstance(data, dict) or not set(data) <= {"rules", "readout"}:
        raise UsageError(f"{path}: not a noise model", hint="an object with rules, readout or both")
    rules: list[NoiseRule] = []
    for number, entry in enumerate(_list(data.get("rules", []), f"{path}: rules")):
        rules += _rules(entry, f"{path}: rule {number}")
    readout = data.get("readout", {})
    if not isinstance(readout, dict) or not all(key.isdecimal() for key in readout):
        raise UsageError(f"{path}: readout maps qubits to two probabilities")
    errors = {int(qubit): ReadoutError(*_numbers(two, 2, f"{path}: readout {qubit}")) for qubit, two in readout.items()}
    return NoiseModel(tuple(rules)), errors


def _rules(entry: Any, where: str) -> tuple[NoiseRule, ...]:
    if not isinstance(entry, dict) or not isinstance(name := entry.get("channel"), str):
        raise UsageError(f"{where} names no channel")
    known = _RELAXATION_KEYS if name == "thermal_relaxation" else _RULE_KEYS
    if not set(entry) <= known:
        raise UsageError(f"{where}: {min(set(entry) - known)!r} is unknown", hint=f"known: {', '.join(sorted(known))}")
    gates = qubits = None
    if "gates" in entry:
        gates = frozenset(_list(entry["gates"], f"{where}: gates"))
        unknown = sorted(str(g) for g in gates if g not in BY_NAME or BY_NAME[g].op not in GATES)
        if unknown:
            raise UsageError(f"{where}: there is no gate {unknown[0]!r}")
    if "qubits" in entry:
        listed = _list(entry["qubits"], f"{where}: qubits")
        if not all(isinstance(q, int) and q >= 0 for q in listed):
            raise UsageError(f"{where}: a qubit is a number from 0")
        qubits = frozenset(listed)
    if name == "thermal_relaxation":
        t1, t2, time = _numbers([entry.get(key) for key in ("t1", "t2", "time")], 3, f"{where}: t1, t2 and time")
        (excited,) = _numbers([entry.get("excited", 0.0)], 1, f"{where}: excited")
        return thermal_relaxation(t1, t2, time, excited=excited, gates=gates, qubits=qubits)
    spec = BY_NAME.get(name)
    if spec is None or spec.op not in CHANNELS or spec.num_qubits != 1:
        raise UsageError(f"{where}: there is no one-qubit channel {name!r}")
    params = _numbers(entry.get("params"), len(spec.params), f"{where}: {name} ({', '.join(spec.params)})")
    if not all(0 <= p <= 1 for p in params) or (spec.op is Op.PAULI_CHANNEL and sum(params) > 1):
        raise UsageError(f"{where}: probabilities outside [0, 1]: {params}")
    return (NoiseRule(spec.op, tuple(params), gates, qubits),)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or any(isinstance(each, (list, bool)) for each in value):
        raise UsageError(f"{where} is not a list")
    return value


def _numbers(value: Any, count: int, where: str) -> list[float]:
    if (
        not isinstance(value, list)
        or len(value) != count
        or not all(isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x) for x in value)
    ):
        raise UsageError(f"{where}: {count} number{'s' * (count != 1)} expected, not {value!r}")
    return [float(x) for x in value]
