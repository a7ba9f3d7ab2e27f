"""Noise models of Qiskit Aer, read without Qiskit from what ``NoiseModel.to_dict(serializable=True)`` gives.

An error there is a list of short circuits of which one is drawn; it stands after each instruction of its name (before a
measurement), on the instruction's own qubits, and one for particular qubits takes the place of one for all. Each error
becomes one `NoiseRule`, or several where it acts on its qubits independently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from proxima.contracts.channels import kraus_operators, pauli_matrix, pieces, superoperator, widened
from proxima.contracts.matrices import Matrix, unitary
from proxima.contracts.noise import NOISY, NoiseModel, NoiseRule
from proxima.contracts.operations import BY_NAME, GATES
from proxima.contracts.readout import ReadoutError
from proxima.errors import UsageError

MAX_ERROR_QUBITS = 4
_RESET = (np.array([[1, 0], [0, 0]], dtype=np.complex128), np.array([[0, 1], [0, 0]], dtype=np.complex128))


def from_aer(model: Any) -> NoiseModel:
    """The model that an object of Aer's describes by its ``to_dict``; Aer itself is not imported.

    Raises:
        UsageError: It is not such an object, or has parts that its description leaves out or that have no counterpart.
    """
    for noise_pass in getattr(model, "_custom_noise_passes", ()):
        # One that `from_backend` adds acts on delays alone, and there are none in a circuit here.
        kinds = [kind.__name__ for kind in getattr(noise_pass, "_ops", ())]
        if kinds != ["Delay"]:
            raise UsageError(
                f"the noise model has a noise pass, {type(noise_pass).__name__}, that cannot be read",
                hint="write what it adds as errors of the model",
            )
    try:
        data = model.to_dict(serializable=True)
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"a {type(model).__name__} is not a noise model of Qiskit Aer: {error}") from None
    return from_dict(data, "the noise model")


def from_dict(data: Any, where: str) -> NoiseModel:
    """The model that Aer's dictionary describes.

    Raises:
        UsageError: Naming the place: it is not such a dictionary, or it names what has no counterpart here.
    """
    if not isinstance(data, Mapping) or not isinstance(entries := data.get("errors"), list):
        raise UsageError(f"{where}: not a noise model of Qiskit Aer", hint="it has a list of errors")
    channels: list[tuple[str, list[tuple[int, ...]], Matrix]] = []
    readout: dict[int | None, ReadoutError] = {}
    for number, entry in enumerate(entries):
        place = f"{where}: error {number}"
        try:
            qubits = [tuple(map(_index, each)) for each in entry.get("gate_qubits", [])]
            if entry["type"] == "roerror":
                _add_readout(readout, entry["probabilities"], qubits, place)
            elif entry["type"] in ("qerror", "plerror"):
                channel = _channel(entry, place)
                if not _preserves_trace(channel):
                    raise UsageError(f"{place} does not preserve the trace")
                channels += [(_known(name, place), qubits, channel) for name in entry["operations"]]
            else:
                raise UsageError(f"{place}: errors of the type {entry['type']!r} have no counterpart here")
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{place} is damaged: {type(error).__name__}: {error}") from None
    return NoiseModel(tuple(_rules(channels)), readout)


def _rules(channels: list[tuple[str, list[tuple[int, ...]], Matrix]]) -> list[NoiseRule]:
    rules = []
    for name, qubits, channel in channels:
        specific = {place for other, places, _ in channels if other == name for place in places}
        rules += [
            NoiseRule(
                piece.op,
                piece.params,
                frozenset({name}),
                kraus=tuple(tuple(tuple(row) for row in k.tolist()) for k in piece.kraus),
                gate_qubits=frozenset(qubits) or None,
                except_for=frozenset() if qubits else frozenset(specific),
                positions=piece.qubits,
            )
            for piece in pieces(channel)
        ]
    return rules


def _known(name: Any, where: str) -> str:
    if name not in NOISY:
        raise UsageError(
            f"{where} comes with {name!r}, which is no operation here",
            hint="errors of gates of the vocabulary, measure and reset are read; u1 of a file is p in a circuit here,"
            " u2 and u3 are u, cu1 is cp and cu3 is cu: let the error come with those",
        )
    return str(name)


def _add_readout(
    readout: dict[int | None, ReadoutError], table: Any, qubits: list[tuple[int, ...]], where: str
) -> None:
    probabilities = np.array(table, dtype=np.float64)
    if probabilities.shape != (2, 2) or any(len(each) != 1 for each in qubits):
        raise UsageError(f"{where}: a readout error of several qubits together has no counterpart here")
    if not np.abs(probabilities.sum(axis=1) - 1).max() < 1e-8:
        raise UsageError(f"{where}: the probabilities do not sum to 1")
    named: list[int | None] = [each[0] for each in qubits]
    for qubit in named or [None]:
        if qubit in readout:
            raise UsageError(f"{where}: a second readout error of the same qubit")
        readout[qubit] = ReadoutError(float(probabilities[0, 1]), float(probabilities[1, 0]))


def _channel(entry: Mapping[str, Any], where: str) -> Matrix:
    """The superoperator of an error."""
    circuits = entry["instructions"]
    lindblad = entry["type"] == "plerror"
    weights = [float(w) for w in entry["rates" if lindblad else "probabilities"]]
    if len(weights) != len(circuits) or not all(map(math.isfinite, weights)):
        raise UsageError(f"{where}: not one number for each of its {len(circuits)} circuits")
    size = 1 + max((_index(q) for circuit in circuits for i in circuit for q in i["qubits"]), default=0)
    if size > MAX_ERROR_QUBITS:
        raise UsageError(f"{where}: an error acts on at most {MAX_ERROR_QUBITS} qubits here, not {size}")
    parts = [_circuit(circuit, size, where) for circuit in circuits]
    if lindblad:  # exp of the sum of rate (P rho P - rho); Pauli errors commute
        whole = identity = np.eye(4**size, dtype=np.complex128)
        for rate, part in zip(weights, parts, strict=True):
            keep = (1 + math.exp(-2 * rate)) / 2
            whole = np.asarray((keep * identity + (1 - keep) * superoperator(part)) @ whole)
        return whole
    if not abs(sum(weights) - 1) < 1e-8 or min(weights) < 0:
        raise UsageError(f"{where}: the probabilities of its circuits do not sum to 1")
    return superoperator([math.sqrt(w) * k for w, part in zip(weights, parts, strict=True) for k in part])


def _preserves_trace(channel: Matrix) -> bool:
    size = round(len(channel) ** 0.5)
    traces = channel.reshape(size, size, size, size).trace()  # of the images of matrix units
    return bool(np.abs(traces - np.eye(size)).max() <= 1e-8)


def _circuit(circuit: Any, size: int, where: str) -> list[Matrix]:
    """The Kraus operators of one of an error's circuits, on all of the error's qubits."""
    whole = [np.eye(2**size, dtype=np.complex128)]
    for instruction in circuit:
        if instruction.get("condition"):
            raise UsageError(f"{where}: a condition inside an error has no counterpart here")
        qubits = [_index(q) for q in instruction["qubits"]]
        operators = _operators(instruction, where)
        if any(operator.shape != (2 ** len(qubits),) * 2 for operator in operators):
            raise UsageError(f"{where}: the matrix of {instruction['name']!r} does not fit its qubits {qubits}")
        each = [widened(operator, qubits, size) for operator in operators]
        whole = [operator @ before for operator in each for before in whole]
        if len(whole) > 4**size:
            whole = list(kraus_operators(superoperator(whole)))
    return whole


def _operators(instruction: Mapping[str, Any], where: str) -> tuple[Matrix, ...]:
    name, params = instruction["name"], instruction.get("params", [])
    if name == "kraus":
        return tuple(map(_matrix, params))
    if name == "unitary":
        return (_matrix(params[0]),)
    if name == "reset":
        return _RESET
    if name == "pauli":
        return (pauli_matrix(params[0]),)
    if name in BY_NAME and BY_NAME[name].op in GATES:
        return (unitary(BY_NAME[name].op, [float(p) for p in params]),)
    raise UsageError(f"{where} consists of {name!r}, which has no counterpart here")


def _matrix(nested: Any) -> Matrix:
    pairs = np.array(nested, dtype=np.float64)  # complex numbers are written [re, im]
    return np.asarray(pairs[..., 0] + 1j * pairs[..., 1])


def _index(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no qubit")
    return value
