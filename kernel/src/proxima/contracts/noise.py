"""Noise models: which channel follows which gate, and how measurements are recorded wrong.

One model means the same on every backend: `NoiseModel.apply` writes the channels into the circuit, and readout errors
are added to what was measured (`readout`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import BY_NAME, CHANNELS, GATES, OPERATIONS, Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import UsageError

Matrix = tuple[tuple[complex, ...], ...]
"""A matrix that can be compared and hashed: rows of complex numbers."""

NOISY = frozenset(OPERATIONS[op].name for op in (*GATES, Op.MEASURE, Op.RESET))
"""Names of the operations that noise can come with."""

SHORTHANDS = tuple(spec.name for op, spec in OPERATIONS.items() if op in CHANNELS and len(spec.params) == 1)
"""Channels that ``NAME:P`` can name: those with one parameter."""

_READOUT = "readout"
_GATE_NAMES = frozenset(OPERATIONS[op].name for op in GATES)
_TRACE = 1e-8  # what a circuit accepts


@dataclass(frozen=True, slots=True)
class NoiseRule:
    """A channel that comes with some operations: after a gate or a reset, before a measurement.

    Attributes:
        channel: A channel of the vocabulary with its ``params``, or ``Op.KRAUS`` with its ``kraus`` operators.
        gates: Names of the operations it comes with, ``measure`` and ``reset`` among them; ``None`` for every gate.
        qubits: The qubits it may act on; ``None`` for all of them.
        kraus: Operators of shape (2^k, 2^k); the first qubit is the least significant index bit.
        gate_qubits: Only with operations on one of these lists of qubits, in that order; ``None`` for any.
        except_for: Not with operations on these.
        positions: Which of the operation's qubits it acts on, counted from 0. ``None``: a one-qubit channel acts on
            each of them; one on more qubits comes with operations on exactly as many, in their order.

    Raises:
        UsageError: It is not a channel, or names an operation that there is not.
    """

    channel: Op
    params: tuple[float, ...] = ()
    gates: frozenset[str] | None = None
    qubits: frozenset[int] | None = None
    kraus: tuple[Matrix, ...] = ()
    gate_qubits: frozenset[tuple[int, ...]] | None = None
    except_for: frozenset[tuple[int, ...]] = frozenset()
    positions: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        spec = OPERATIONS[self.channel]
        if self.channel not in CHANNELS:
            raise UsageError(f"{spec.name} is no channel", hint=f"a noise rule's channel is one of {_channels()}")
        if len(self.params) != len(spec.params):
            raise UsageError(f"{spec.name} takes the parameters ({', '.join(spec.params)}), got {self.params}")
        total = sum(self.params) if self.channel is Op.PAULI_CHANNEL else 0.0
        if not all(0.0 <= p <= 1.0 for p in self.params) or total > 1.0 + _TRACE:
            raise UsageError(f"{spec.name}: probabilities outside [0, 1]: {self.params}")
        if (self.channel is Op.KRAUS) != bool(self.kraus):
            raise UsageError(f"{spec.name}: Kraus operators come with the channel kraus, and only with it")
        if self.kraus:
            _check_kraus(self.kraus)
        unknown = sorted(self.gates - NOISY) if self.gates is not None else []
        if unknown:
            raise UsageError(
                f"there is no gate {unknown[0]!r}", hint="noise comes with gates of the vocabulary, measure and reset"
            )
        if self.positions is not None and (
            len(self.positions) != self.num_qubits
            or len(set(self.positions)) != len(self.positions)
            or min(self.positions) < 0
        ):
            raise UsageError(f"{spec.name} acts on {self.num_qubits} qubits, its positions are {self.positions}")

    @property
    def num_qubits(self) -> int:
        """How many qubits the channel acts on at once."""
        return OPERATIONS[self.channel].num_qubits or len(self.kraus[0]).bit_length() - 1

    def places(self, name: str, qubits: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The lists of qubits it acts on where an operation of that name acts on these."""
        if name not in (_GATE_NAMES if self.gates is None else self.gates) or qubits in self.except_for:
            return []
        if self.gate_qubits is not None and qubits not in self.gate_qubits:
            return []
        size = self.num_qubits
        if self.positions is not None:
            found = [tuple(qubits[p] for p in self.positions)] if max(self.positions) < len(qubits) else []
        elif size == 1:
            found = [(qubit,) for qubit in qubits]
        else:
            found = [qubits] if len(qubits) == size else []
        return [place for place in found if self.qubits is None or self.qubits.issuperset(place)]


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Rules applied in order with each operation, and readout errors. Barriers and channels have no noise.

    Attributes:
        rules: The channels.
        readout: By qubit; ``None`` stands for every qubit that is not named.
    """

    rules: tuple[NoiseRule, ...] = ()
    readout: Mapping[int | None, ReadoutError] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object) -> NoiseModel:
        """The model that a user means: one of these, text (`parse`), a path, JSON's data, or a noise model of Aer.

        Raises:
            UsageError: It is none of them, or holds what cannot be read.
        """
        if isinstance(value, NoiseModel):
            return value
        if isinstance(value, os.PathLike):
            return cls.read(value)
        if isinstance(value, dict):
            from proxima.contracts.noise_file import from_data

            return from_data(value, "the noise model")
        if callable(getattr(value, "to_dict", None)):
            from proxima.contracts.noise_aer import from_aer

            return from_aer(value)
        return cls.parse(str(value))

    @classmethod
    def parse(cls, text: str) -> NoiseModel:
        """Reads the shorthand ``NAME:P[,NAME:P...]``, the path of a file that ends in ``.json``, or the JSON itself.

        In the shorthand a one-qubit channel acts on every qubit that a gate touches, after each gate; a two-qubit
        channel after each gate on two qubits; ``readout:P`` records each measurement wrong with probability P.

        Raises:
            UsageError: An unknown channel, a parameter that is not a number in [0, 1], or a file that is none.
        """
        if text.lstrip().startswith("{"):
            from proxima.contracts.noise_file import from_json

            return from_json(text, "the noise model")
        if text.endswith(".json"):
            return cls.read(text)
        rules = []
        readout: dict[int | None, ReadoutError] = {}
        for part in text.split(","):
            name, _, value = part.strip().partition(":")
            if name not in (*SHORTHANDS, _READOUT):
                raise UsageError(
                    f"unknown noise {name!r}",
                    hint=f"write NAME:P with NAME one of {', '.join((*SHORTHANDS, _READOUT))}, or the name of a file"
                    " that ends in .json",
                )
            try:
                number = float(value)
            except ValueError:
                number = -1.0
            if not 0.0 <= number <= 1.0:
                raise UsageError(f"noise {part.strip()!r}: {value!r} is not a number between 0 and 1")
            if name == _READOUT:
                readout[None] = ReadoutError(number, number)
            else:
                rules.append(NoiseRule(BY_NAME[name].op, (number,)))
        return cls(tuple(rules), readout)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> NoiseModel:
        """Reads a JSON file: ours (`noise_file`), or what Qiskit Aer's ``NoiseModel.to_dict(serializable=True)`` gives.

        Raises:
            UsageError: The file cannot be read or does not hold what it should; the message names the place.
        """
        from proxima.contracts.noise_file import read_noise

        return read_noise(path)

    def to_json(self) -> str:
        """The model as JSON, from which `parse` makes the same model."""
        from proxima.contracts.noise_file import to_json

        return to_json(self)

    def __str__(self) -> str:
        """The shorthand where it says everything, else the JSON."""
        plain = all(len(r.params) == 1 and r == NoiseRule(r.channel, r.params) for r in self.rules)
        every = self.readout.get(None, ReadoutError(0.0, 0.0))
        if not plain or set(self.readout) - {None} or every.one_for_zero != every.zero_for_one:
            return self.to_json()
        parts = [f"{OPERATIONS[r.channel].name}:{r.params[0]!r}" for r in self.rules]
        parts += [f"{_READOUT}:{every.one_for_zero!r}"] if self.readout else []
        return ",".join(parts) or self.to_json()

    def readout_of(self, num_qubits: int) -> dict[int, ReadoutError]:
        """The readout errors of a circuit's qubits, by qubit."""
        found = {q: self.readout.get(q, self.readout.get(None)) for q in range(num_qubits)}
        return {qubit: error for qubit, error in found.items() if error is not None}

    def apply(self, circuit: Circuit) -> Circuit:
        """The circuit with the channels as operations, each under the condition of what it comes with.

        Readout errors are no operations: `readout` adds them to what was measured.
        """
        import numpy as np

        builder = circuit.empty_builder()
        operators = [tuple(np.array(m, dtype=np.complex128) for m in rule.kraus) for rule in self.rules]
        places: dict[tuple[int, tuple[int, ...]], list[tuple[int, tuple[int, ...]]]] = {}
        for op, qubits, params, clbit, condition, matrices in circuit:
            if (op, qubits) not in places:
                name = OPERATIONS[op].name
                places[op, qubits] = [(i, p) for i, r in enumerate(self.rules) for p in r.places(name, qubits)]
            if op is not Op.MEASURE:
                builder.append(op, qubits, params, condition=condition, matrices=matrices)
            for i, place in places[op, qubits]:
                rule = self.rules[i]
                builder.append(rule.channel, place, rule.params, condition=condition, matrices=operators[i])
            if op is Op.MEASURE:
                builder.append(op, qubits, clbit=clbit, condition=condition)
        return builder.build()


def thermal_relaxation(
    t1: float,
    t2: float,
    time: float,
    *,
    excited: float = 0.0,
    gates: frozenset[str] | None = None,
    qubits: frozenset[int] | None = None,
) -> tuple[NoiseRule, ...]:
    """Relaxation towards a thermal state over a time, as (generalised) amplitude damping and dephasing.

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
    if excited:
        damping = NoiseRule(Op.GENERALIZED_AMPLITUDE_DAMPING, (1 - excited, gamma), gates, qubits)
    else:
        damping = NoiseRule(Op.AMPLITUDE_DAMPING, (gamma,), gates, qubits)
    return damping, NoiseRule(Op.PHASE_DAMPING, (dephasing,), gates, qubits)


def _channels() -> str:
    return ", ".join(sorted(OPERATIONS[op].name for op in CHANNELS))


def _check_kraus(kraus: tuple[Matrix, ...]) -> None:
    import numpy as np

    size = len(kraus[0])
    if size < 2 or size & (size - 1) or size > 2**4 or any(len(m) != size or {*map(len, m)} != {size} for m in kraus):
        raise UsageError("Kraus operators are square matrices of one size, of 1 to 4 qubits")
    operators = np.array(kraus, dtype=np.complex128)
    with np.errstate(all="ignore"):  # what is infinite or no number ends as an error that is no number
        error = float(np.abs(np.einsum("kji,kjl->il", operators.conj(), operators) - np.eye(size)).max())
    if not error <= _TRACE:
        raise UsageError(f"the Kraus operators are not trace preserving; they are off by {error:.2g}")
