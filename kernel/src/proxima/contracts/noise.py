"""Noise models: which channel follows which gate."""

from __future__ import annotations

from dataclasses import dataclass

from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import BY_NAME, CHANNELS, GATES, OPERATIONS, Op
from proxima.errors import UsageError

SHORTHANDS = tuple(
    spec.name for op, spec in OPERATIONS.items() if op in CHANNELS and spec.num_qubits == 1 and len(spec.params) == 1
)
"""Channels that ``NAME:P`` can name: on one qubit, with one parameter."""


@dataclass(frozen=True, slots=True)
class NoiseRule:
    """A one-qubit channel after gates.

    Attributes:
        gates: Names of the gates it follows; ``None`` for every gate.
        qubits: The qubits it acts on, among those the gate touches; ``None`` for all of them.
    """

    channel: Op
    params: tuple[float, ...]
    gates: frozenset[str] | None = None
    qubits: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Rules applied in order after each gate. Measurements, resets and barriers are not gates."""

    rules: tuple[NoiseRule, ...]

    @classmethod
    def parse(cls, text: str) -> NoiseModel:
        """Reads the shorthand ``NAME:P[,NAME:P...]``: each channel on every qubit that a gate touches, after each gate.

        Raises:
            UsageError: An unknown channel, or a parameter that is not a number in [0, 1].
        """
        rules = []
        for part in text.split(","):
            name, _, value = part.strip().partition(":")
            if name not in SHORTHANDS:
                raise UsageError(
                    f"unknown noise {name!r}", hint=f"write NAME:P with NAME one of {', '.join(SHORTHANDS)}"
                )
            try:
                number = float(value)
            except ValueError:
                number = -1.0
            if not 0.0 <= number <= 1.0:
                raise UsageError(f"noise {part.strip()!r}: {value!r} is not a number between 0 and 1")
            rules.append(NoiseRule(BY_NAME[name].op, (number,)))
        return cls(tuple(rules))

    def __str__(self) -> str:
        return ",".join(f"{OPERATIONS[r.channel].name}:{':'.join(map(repr, r.params))}" for r in self.rules)

    def apply(self, circuit: Circuit) -> Circuit:
        """The circuit with the channels as operations after the gates they follow, under the gate's own condition."""
        builder = Circuit.builder(name=circuit.name)
        for register in circuit.qregs:
            builder.add_qubits(register.name, register.size)
        for register in circuit.cregs:
            builder.add_clbits(register.name, register.size)
        for op, qubits, params, clbit, condition, matrices in circuit:
            builder.append(op, qubits, params, clbit=clbit, condition=condition, matrices=matrices)
            if op in GATES:
                name = OPERATIONS[op].name
                for rule in self.rules:
                    if rule.gates is None or name in rule.gates:
                        for qubit in qubits:
                            if rule.qubits is None or qubit in rule.qubits:
                                builder.append(rule.channel, (qubit,), rule.params, condition=condition)
        return builder.build()
