"""A variational eigensolver: gradient descent on the angles of a circuit."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import Execution, Progress, RunOptions
from proxima.contracts.observable import PauliSum
from proxima.errors import CancelledError, UsageError
from proxima_sdk import Algorithm

if TYPE_CHECKING:
    from proxima.kernel import Kernel

OFFSET = 1e-3  # of an angle, to either side, for the slope
Energy = Callable[[list[float]], float]


class Vqe(Algorithm):
    """Peruzzo et al., Nature Communications 5, 4213 (2014), with exact expectation values and plain descent."""

    name = "my-plugin"
    defaults = {
        "observable": "",  # a sum of Pauli strings, such as "ZZ + 0.5*XI"; the highest qubit is leftmost
        "backend": "auto",
        "iterations": 200,
        "rate": 0.4,  # radians per unit of slope
        "tolerance": 1e-9,  # stops once an iteration gains less
        "seed": 1,  # of the angles that it starts from
    }

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def execute(
        self, circuit: Circuit, params: Mapping[str, Any], *, cancel: CancelToken, progress: Progress
    ) -> AlgorithmResult:
        """Descends until an iteration gains less than ``tolerance``; ``details`` has the angles by name."""
        given = self.parameters(params)
        observable = _observable(given["observable"] or "Z" * circuit.num_qubits, circuit)
        if not circuit.parameters:
            raise UsageError("the circuit has no open parameter: there is nothing to vary")
        energy = self._energy(circuit.without_final_measurements(), observable, given, cancel)
        start = random.Random(given["seed"])
        angles = [start.uniform(-math.pi, math.pi) for _ in circuit.parameters]
        history = [energy(angles)]
        for iteration in range(given["iterations"]):
            angles = [a - given["rate"] * slope for a, slope in zip(angles, _slopes(energy, angles), strict=True)]
            history.append(energy(angles))
            progress((iteration + 1) / given["iterations"], f"energy {history[-1]:.6f}")
            if abs(history[-2] - history[-1]) < given["tolerance"]:
                break
        details = {"angles": dict(zip(circuit.parameters, angles, strict=True)), "iterations": len(history) - 1}
        return AlgorithmResult(history[-1], details, tuple(history))

    def _energy(self, circuit: Circuit, observable: PauliSum, given: Mapping[str, Any], cancel: CancelToken) -> Energy:
        """The exact expectation value as a function of the angles."""
        execution = self._kernel.services.require(Execution)
        options = RunOptions(
            backend=given["backend"], precision="double", wants=("expectation",), observables=(observable,), store=False
        )

        def energy(angles: list[float]) -> float:
            if cancel.cancelled:
                raise CancelledError("the optimisation was cancelled")
            bound = circuit.bind(dict(zip(circuit.parameters, angles, strict=True)))
            return execution.run(bound, options, cancel=cancel).expectations[0].value

        return energy


def _observable(text: str, circuit: Circuit) -> PauliSum:
    observable = PauliSum.parse(text)
    if observable.num_qubits != circuit.num_qubits:
        raise UsageError(
            f"observable {text!r} has {observable.num_qubits} letters a term, the circuit {circuit.num_qubits} qubits"
        )
    return observable


def _slopes(energy: Energy, angles: list[float]) -> list[float]:
    """Central differences, which hold for every circuit; their error is of the order of OFFSET squared."""
    slopes = []
    for i, angle in enumerate(angles):
        above, below = ([*angles[:i], angle + offset, *angles[i + 1 :]] for offset in (OFFSET, -OFFSET))
        slopes.append((energy(above) - energy(below)) / (2 * OFFSET))
    return slopes
