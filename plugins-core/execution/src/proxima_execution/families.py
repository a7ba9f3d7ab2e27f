"""Circuits of different kinds and sizes: what `proxima calibrate` and `proxima bench run` time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from proxima.contracts.circuit import Circuit, CircuitBuilder
from proxima.contracts.noise import NoiseModel


def ghz(n: int) -> CircuitBuilder:
    """The GHZ state of n qubits."""
    b = Circuit.builder(n, name=f"ghz-{n}").h(0)
    for qubit in range(n - 1):
        b.cx(qubit, qubit + 1)
    return b


def qft(n: int) -> CircuitBuilder:
    """The quantum Fourier transform of n qubits, without the final swaps."""
    b = Circuit.builder(n, name=f"qft-{n}")
    for target in reversed(range(n)):
        b.h(target)
        for control in range(target):
            b.cp(math.pi / 2 ** (target - control), control, target)
    return b


def random_circuit(n: int, depth: int, rng: np.random.Generator) -> CircuitBuilder:
    """Layers of random one-qubit gates on every qubit and a cx on each pair of a random pairing."""
    b = Circuit.builder(n, name=f"random-{n}-{depth}")
    for _ in range(depth):
        for qubit in range(n):
            b.u(*rng.uniform(0, 2 * math.pi, 3).tolist(), qubit)
        order = rng.permutation(n).tolist()
        for first, second in zip(order[::2], order[1::2], strict=False):
            b.cx(first, second)
    return b


def clifford(n: int, depth: int, rng: np.random.Generator) -> CircuitBuilder:
    """Layers of random h, s and x on every qubit and a cx on each pair of a random pairing."""
    b = Circuit.builder(n, name=f"clifford-{n}-{depth}")
    for _ in range(depth):
        for qubit, gate in enumerate(rng.integers(3, size=n).tolist()):
            (b.h, b.s, b.x)[gate](qubit)
        order = rng.permutation(n).tolist()
        for first, second in zip(order[::2], order[1::2], strict=False):
            b.cx(first, second)
    return b


def brickwork(n: int, depth: int, rng: np.random.Generator) -> CircuitBuilder:
    """Layers of ry and rz on every qubit and a cz on neighbours, shifted by one in every other layer."""
    b = Circuit.builder(n, name=f"brickwork-{n}-{depth}")
    for layer in range(depth):
        for qubit in range(n):
            b.ry(float(rng.uniform(0, math.pi)), qubit).rz(float(rng.uniform(0, math.pi)), qubit)
        for qubit in range(layer % 2, n - 1, 2):
            b.cz(qubit, qubit + 1)
    return b


def qaoa(n: int, rounds: int, rng: np.random.Generator) -> CircuitBuilder:
    """QAOA on a ring with a chord from each third qubit."""
    b = Circuit.builder(n, name=f"qaoa-{n}-{rounds}")
    edges = {(i, (i + 1) % n) for i in range(n)} | {(i, (i + n // 2) % n) for i in range(0, n, 3)}
    for qubit in range(n):
        b.h(qubit)
    for _ in range(rounds):
        gamma, beta = rng.uniform(0, math.pi, 2).tolist()
        for first, second in sorted(edges):
            if first != second:
                b.rzz(gamma, first, second)
        for qubit in range(n):
            b.rx(beta, qubit)
    return b


FAMILIES: dict[str, Callable[[int], CircuitBuilder]] = {
    "ghz": ghz,
    "qft": qft,
    "random": lambda n: random_circuit(n, 20, np.random.default_rng(n)),
    "clifford": lambda n: clifford(n, 20, np.random.default_rng(n)),
    "brickwork": lambda n: brickwork(n, 10, np.random.default_rng(n)),
    "qaoa": lambda n: qaoa(n, 2, np.random.default_rng(n)),
}
"""Families by name; the same size always gives the same circuit."""


def calibration_circuits() -> Iterator[Circuit]:
    """Every family at sizes from a few qubits up, smallest first; measured, some with noise."""
    rng = np.random.default_rng(1)
    for n in (3, 5, 8, 10, 12, 14, 16, 18, 20, 21, 22):
        plain = [ghz(n), qft(n), random_circuit(n, 10, rng), qaoa(n, 1, rng), brickwork(n, 4, rng)]
        if n % 4 == 0 or n < 6:
            plain.append(clifford(n, 10, rng))
            plain.append(random_circuit(n, 40, rng))
        for builder in plain:
            yield builder.measure_all().build()
        if n <= 12:
            for text in ("depolarizing:0.01", "amplitude_damping:0.02"):
                yield NoiseModel.parse(text).apply(brickwork(n, 3, rng).measure_all().build())
            yield NoiseModel.parse("bit_flip:0.01").apply(clifford(n, 4, rng).measure_all().build())
    for n in (30, 50, 80, 120):
        yield clifford(n, 10, rng).measure_all().build()
        yield brickwork(n, 3, rng).measure_all().build()
        yield ghz(n).measure_all().build()
