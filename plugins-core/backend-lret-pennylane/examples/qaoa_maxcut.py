"""QAOA for MaxCut on the Petersen graph (10 vertices, 15 edges), under noise: `python qaoa_maxcut.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp

OUTER = [(v, (v + 1) % 5) for v in range(5)]
SPOKES = [(v, v + 5) for v in range(5)]
INNER = [(5 + v, 5 + (v + 2) % 5) for v in range(5)]
EDGES = OUTER + SPOKES + INNER
VERTICES = 10


def cut(bits: Sequence[int]) -> int:
    """How many edges have their ends on different sides."""
    return sum(bits[a] != bits[b] for a, b in EDGES)


def largest_cut() -> int:
    """By trying every partition."""
    return max(cut([number >> v & 1 for v in range(VERTICES)]) for number in range(2**VERTICES))


def nodes(noise: float, seed: int) -> tuple[Any, Any]:
    """The expected cut as a function of the angles, shape (2, layers), and samples of partitions."""
    device = qml.device("proxima.lret.mixed", wires=VERTICES, tolerance=1e-2, seed=seed)
    expected = qml.Hamiltonian([0.5] * len(EDGES) + [-0.5] * len(EDGES), [
        *(qml.Identity(0) for _ in EDGES), *(qml.Z(a) @ qml.Z(b) for a, b in EDGES),
    ])  # fmt: skip

    def ansatz(angles: Any) -> None:
        for v in range(VERTICES):
            qml.H(v)
        for gamma, beta in zip(angles[0], angles[1], strict=True):
            for edge in EDGES:
                qml.IsingZZ(gamma, edge)
                for v in edge if noise else ():
                    qml.DepolarizingChannel(noise, v)
            for v in range(VERTICES):
                qml.RX(2 * beta, v)

    @qml.qnode(device, diff_method="adjoint")  # type: ignore[untyped-decorator]
    def value(angles: Any) -> Any:
        ansatz(angles)
        return qml.expval(expected)

    @qml.qnode(device)  # type: ignore[untyped-decorator]
    def samples(angles: Any) -> Any:
        ansatz(angles)
        return qml.sample(wires=range(VERTICES))

    return value, samples


@dataclass(frozen=True)
class Outcome:
    """What the optimisation came to.

    Attributes:
        expected: The expected cut after each step.
        best: The largest cut among the samples, and ``partition``: the one that has it.
    """

    expected: list[float]
    best: int
    partition: list[int]


def optimise(noise: float, layers: int = 2, steps: int = 30, shots: int = 200, seed: int = 1) -> Outcome:
    """Adam on the expected cut, then samples at the angles found."""
    value, samples = nodes(noise, seed)
    optimiser = qml.AdamOptimizer(0.1)
    angles = pnp.array([[-0.3, -0.5], [0.5, 0.3]][:layers], requires_grad=True)
    expected = []
    for _ in range(steps):
        angles, loss = optimiser.step_and_cost(lambda x: -value(x), angles)
        expected.append(-float(loss))
    drawn = np.asarray(qml.set_shots(samples, shots)(angles))
    best = max(drawn.tolist(), key=cut)
    return Outcome([*expected, float(value(angles))], cut(best), best)


def main(arguments: Sequence[str] | None = None) -> Outcome:
    """Prints the expected cut and the best partition sampled."""
    parser = argparse.ArgumentParser(description="QAOA for MaxCut on proxima.lret.mixed")
    parser.add_argument("--noise", type=float, default=1e-3, help="depolarizing after each two-qubit gate")
    options = parser.parse_args(arguments)
    outcome, largest = optimise(options.noise), largest_cut()
    print(f"expected cut: {outcome.expected[0]:.3f} at first, {outcome.expected[-1]:.3f} at last, of {largest}")
    print(f"best of 200 samples: {outcome.best}, with {''.join(map(str, outcome.partition))}")
    return outcome


if __name__ == "__main__":
    main()
