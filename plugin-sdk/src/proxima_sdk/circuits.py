"""Generators of circuits for tests, benchmarks and the conformance kit.

Each measures qubit i into classical bit i at its end unless told not to. A seed gives the same circuit always.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxima.contracts.builder import CircuitBuilder
from proxima.contracts.circuit import Circuit, Instruction
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op

ComplexArray = npt.NDArray[np.complex128]


def from_instructions(num_qubits: int, num_clbits: int, instructions: Iterable[Instruction]) -> Circuit:
    """The circuit of these operations, in their order."""
    builder = Circuit.builder(num_qubits, num_clbits)
    for op, qubits, params, clbit, condition, matrices in instructions:
        builder.append(op, qubits, params, clbit=clbit, condition=condition, matrices=matrices)
    return builder.build()


def rewritten(circuit: Circuit, change: Callable[[Instruction], Instruction]) -> Circuit:
    """The circuit with every operation changed."""
    return from_instructions(circuit.num_qubits, circuit.num_clbits, map(change, circuit))


def qubits_reversed(circuit: Circuit) -> Circuit:
    """The circuit with qubit q called n-1-q: what a big-endian reading makes of it."""
    top = circuit.num_qubits - 1
    return rewritten(circuit, lambda i: i._replace(qubits=tuple(top - q for q in i.qubits)))


def clbits_reversed(circuit: Circuit) -> Circuit:
    """The circuit with classical bit c called m-1-c: a bit string printed lowest bit first."""
    top = circuit.num_clbits - 1
    return rewritten(circuit, lambda i: i._replace(clbit=top - i.clbit) if i.clbit >= 0 else i)


def haar_unitary(num_qubits: int, rng: np.random.Generator) -> ComplexArray:
    """A Haar-random unitary, shape (2^k, 2^k) (Mezzadri, arXiv:math-ph/0609050)."""
    size = 2**num_qubits
    z = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    q, r = np.linalg.qr(z)
    phases = np.diagonal(r) / np.abs(np.diagonal(r))
    return np.asarray(q * phases, dtype=np.complex128)


def random_kraus(num_qubits: int, rank: int, rng: np.random.Generator) -> tuple[ComplexArray, ...]:
    """Kraus operators of a random channel: the blocks of a random isometry."""
    size = 2**num_qubits
    z = rng.normal(size=(rank * size, size)) + 1j * rng.normal(size=(rank * size, size))
    q, _ = np.linalg.qr(z)
    return tuple(np.ascontiguousarray(q[i * size : (i + 1) * size], dtype=np.complex128) for i in range(rank))


def _finish(builder: CircuitBuilder, measure: bool) -> Circuit:
    return (builder.measure_all() if measure else builder).build()


def ghz(num_qubits: int, *, measure: bool = True) -> Circuit:
    """(|0...0> + |1...1>) / sqrt(2), by one chain of cx."""
    builder = Circuit.builder(num_qubits, name=f"ghz-{num_qubits}").h(0)
    for qubit in range(num_qubits - 1):
        builder.cx(qubit, qubit + 1)
    return _finish(builder, measure)


def qft(num_qubits: int, *, measure: bool = True) -> Circuit:
    """The quantum Fourier transform of |0...01>, with the final swaps; amplitudes exp(2 pi i k / 2^n) / sqrt(2^n)."""
    builder = Circuit.builder(num_qubits, name=f"qft-{num_qubits}").x(0)
    for target in reversed(range(num_qubits)):
        builder.h(target)
        for control in reversed(range(target)):
            builder.cp(math.pi / 2 ** (target - control), control, target)
    for qubit in range(num_qubits // 2):
        builder.swap(qubit, num_qubits - 1 - qubit)
    return _finish(builder, measure)


def random(
    num_qubits: int,
    depth: int = 20,
    *,
    seed: int = 0,
    operations: Sequence[Op] | None = None,
    measure: bool = True,
) -> Circuit:
    """Layers of operations on random qubits, with random angles.

    They are drawn from ``operations``: by default every gate and ``unitary``; channels and ``kraus`` may be named.
    """
    rng = np.random.default_rng(seed)
    pool = sorted(operations if operations is not None else GATES)
    builder = Circuit.builder(num_qubits, name=f"random-{num_qubits}-{depth}-{seed}")
    for _ in range(depth):
        free = rng.permutation(num_qubits).tolist()
        while free:
            op = Op(pool[rng.integers(len(pool))])
            size = OPERATIONS[op].num_qubits or int(rng.integers(1, 3))
            if size > len(free):
                if all((OPERATIONS[o].num_qubits or 1) > len(free) for o in pool):
                    break
                continue
            qubits, free = free[:size], free[size:]
            builder.append(op, qubits, _draw_params(op, rng), matrices=_draw_matrices(op, size, rng))
    return _finish(builder, measure)


def _draw_params(op: Op, rng: np.random.Generator) -> list[float]:
    count = len(OPERATIONS[op].params)
    # Small enough that the three probabilities of a Pauli channel stay below 1 together.
    span = (0.0, 0.3) if op in CHANNELS else (-math.pi, math.pi)
    return [float(value) for value in rng.uniform(*span, size=count)]


def _draw_matrices(op: Op, size: int, rng: np.random.Generator) -> tuple[ComplexArray, ...]:
    if op is Op.UNITARY:
        return (haar_unitary(size, rng),)
    return random_kraus(size, 2, rng) if op is Op.KRAUS else ()


def clifford(num_qubits: int, depth: int = 20, *, seed: int = 0, measure: bool = True) -> Circuit:
    """Random layers of Clifford gates alone."""
    gates = [op for op in GATES if OPERATIONS[op].clifford]
    return random(num_qubits, depth, seed=seed, operations=gates, measure=measure)


def brickwork(num_qubits: int, depth: int = 8, *, seed: int = 0, measure: bool = True) -> Circuit:
    """Layers of random one-qubit rotations and cz on neighbours, alternately from qubit 0 and from qubit 1."""
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(num_qubits, name=f"brickwork-{num_qubits}-{depth}-{seed}")
    for layer in range(depth):
        for qubit, angles in enumerate(rng.uniform(-math.pi, math.pi, size=(num_qubits, 3)).tolist()):
            builder.append(Op.U, (qubit,), angles)
        for qubit in range(layer % 2, num_qubits - 1, 2):
            builder.append(Op.CZ, (qubit, qubit + 1))
    return _finish(builder, measure)


def qaoa(num_qubits: int, layers: int = 2, *, seed: int = 0, measure: bool = True) -> Circuit:
    """QAOA for MaxCut on a ring with random chords (Farhi et al., arXiv:1411.4028): rzz on edges, rx on qubits."""
    rng = np.random.default_rng(seed)
    ring = {(q, (q + 1) % num_qubits) for q in range(num_qubits)} if num_qubits > 2 else {(0, 1)}
    chords = {tuple(sorted(rng.choice(num_qubits, 2, replace=False).tolist())) for _ in range(num_qubits // 2)}
    edges = sorted({tuple(sorted(edge)) for edge in ring | chords})
    builder = Circuit.builder(num_qubits, name=f"qaoa-{num_qubits}-{layers}-{seed}")
    for qubit in range(num_qubits):
        builder.h(qubit)
    for gamma, beta in rng.uniform(0.1, 1.0, size=(layers, 2)).tolist():
        for a, b in edges:
            builder.rzz(gamma, a, b)
        for qubit in range(num_qubits):
            builder.rx(2 * beta, qubit)
    return _finish(builder, measure)


def grover(search_qubits: int, marked: int = 0, *, iterations: int | None = None, measure: bool = True) -> Circuit:
    """Grover's search for the basis state ``marked`` (Grover, arXiv:quant-ph/9605043) on 2 or more qubits.

    The search register is qubits 0 to k-1; above it stand the k-3 work qubits (k > 3) of the multiply controlled Z,
    which end in |0>. Only the search register is measured.
    """
    rounds = iterations if iterations is not None else round(math.pi / 4 * math.sqrt(2**search_qubits) - 0.5)
    builder = Circuit.builder(search_qubits + max(search_qubits - 3, 0), search_qubits, name=f"grover-{search_qubits}")
    search = range(search_qubits)
    zeros = [q for q in search if not marked >> q & 1]
    _each(builder, Op.H, search)
    for _ in range(rounds):
        _each(builder, Op.X, zeros)
        _multi_controlled_z(builder, search_qubits)
        _each(builder, Op.X, zeros)
        _each(builder, Op.H, search)
        _each(builder, Op.X, search)
        _multi_controlled_z(builder, search_qubits)
        _each(builder, Op.X, search)
        _each(builder, Op.H, search)
    if measure:
        for qubit in search:
            builder.measure(qubit, qubit)
    return builder.build()


def _each(builder: CircuitBuilder, op: Op, qubits: Iterable[int]) -> None:
    for qubit in qubits:
        builder.append(op, (qubit,))


def _multi_controlled_z(builder: CircuitBuilder, size: int) -> None:
    """Flips the sign where the first ``size`` qubits are all 1: a chain of ccx into the work qubits, and back."""
    if size == 2:
        builder.cz(0, 1)
        return
    # The work qubits gather the AND of all but the last two; a ccz joins those.
    chain = [(0, 1, size), *((q, size + q - 2, size + q - 1) for q in range(2, size - 2))] if size > 3 else []
    for a, b, target in chain:
        builder.ccx(a, b, target)
    builder.ccz(chain[-1][2] if chain else 0, size - 2, size - 1)
    for a, b, target in reversed(chain):
        builder.ccx(a, b, target)


@dataclass(frozen=True, slots=True)
class Family:
    """A generated family of circuits, for sweeps over the number of qubits."""

    name: str
    make: Callable[[int], Circuit]


FAMILIES = (
    Family("ghz", ghz),
    Family("qft", qft),
    Family("random", random),
    Family("qaoa", qaoa),
    Family("clifford", clifford),
    Family("brickwork", brickwork),
)
