"""Random circuits over the whole vocabulary, and their exact states from the kernel's reference matrices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from proxima.contracts.circuit import Circuit, Condition, Instruction
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima_sdk import reference

Array = npt.NDArray[np.complex128]
CHANNEL_OPS = sorted(CHANNELS - {Op.KRAUS})
GATE_OPS = sorted(GATES - {Op.UNITARY})


def random_isometry(rows: int, columns: int, rng: np.random.Generator) -> Array:
    return np.linalg.qr(rng.normal(size=(rows, columns)) + 1j * rng.normal(size=(rows, columns)))[0]


def random_kraus(qubits: int, operators: int, rng: np.random.Generator) -> list[Array]:
    size = 2**qubits
    return list(random_isometry(operators * size, size, rng).reshape(operators, size, size))


def random_instruction(op: Op, n: int, rng: np.random.Generator, strength: float) -> Instruction:
    """One operation on qubits at random; a channel's parameters are at most ``strength``."""
    spec = OPERATIONS[op]
    k = spec.num_qubits or int(rng.integers(1, min(n, 2) + 1))
    qubits = tuple(rng.permutation(n)[:k].tolist())
    if op is Op.UNITARY:
        return Instruction(op, qubits, matrices=(random_isometry(2**k, 2**k, rng),))
    if op is Op.KRAUS:
        weak = [np.sqrt(1 - strength) * np.eye(2**k), *(np.sqrt(strength) * m for m in random_kraus(k, 3, rng))]
        return Instruction(op, qubits, matrices=tuple(weak))
    high = strength / max(1, len(spec.params)) if op in CHANNELS else 2 * np.pi
    return Instruction(op, qubits, tuple(rng.uniform(0, high, len(spec.params)).tolist()))


def random_circuit(n: int, rng: np.random.Generator, *, length: int, strength: float, dynamic: bool = False) -> Circuit:
    """Gates and channels in equal parts; where ``dynamic``, measurements, resets and conditions among them."""
    builder = Circuit.builder(n, n)
    gates = [op for op in (*GATE_OPS, Op.UNITARY) if OPERATIONS[op].num_qubits <= n]
    channels = [op for op in (*CHANNEL_OPS, Op.KRAUS) if OPERATIONS[op].num_qubits <= n]
    for _ in range(length):
        condition = None
        kind = rng.random()
        if dynamic and kind < 0.15:
            builder.measure(int(rng.integers(n)), int(rng.integers(n)))
            continue
        if dynamic and kind < 0.25:
            builder.reset(int(rng.integers(n)))
            continue
        if dynamic and kind < 0.45:
            condition = Condition((int(rng.integers(n)),), int(rng.integers(2)), bool(rng.integers(2)))
        op = Op(rng.choice(gates if rng.random() < 0.5 else channels))
        made = random_instruction(op, n, rng, strength)
        builder.append(made.op, made.qubits, made.params, condition=condition, matrices=made.matrices)
    return builder.build()


def exact(circuit: Circuit) -> Array:
    """The density matrix before the final measurements, from the reference, on more qubits than it offers."""
    ensemble = reference.initial_ensemble(circuit)
    for instruction in circuit.without_final_measurements():
        ensemble = reference.advance(ensemble, instruction)
    return sum(ensemble.values(), np.zeros((2**circuit.num_qubits,) * 2, dtype=np.complex128))


def trace_distance(a: Array, b: Array) -> float:
    return float(0.5 * np.abs(np.linalg.eigvalsh(a - b)).sum())


def brick(n: int, layers: int = 4, seed: int = 0) -> Circuit:
    """Layers of rx, ry, rz at random on every qubit and a brick of cx."""
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(n, n)
    for layer in range(layers):
        for q in range(n):
            builder.rx(rng.uniform(0, 6.28), q).ry(rng.uniform(0, 6.28), q).rz(rng.uniform(0, 6.28), q)
        for q in range(layer % 2, n - 1, 2):
            builder.cx(q, q + 1)
    return builder.build()
