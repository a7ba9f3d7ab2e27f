"""Random circuits and random noise models of Aer, and what Aer itself makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer import noise as aer

from proxima.contracts.circuit import Circuit, CircuitBuilder
from proxima.contracts.operations import BY_NAME, OPERATIONS

Array = npt.NDArray[np.complex128]
GATES = ("id", "x", "h", "sx", "rz", "ry", "u", "cx", "cz", "ecr", "rzz", "swap", "ccx", "unitary", "reset")


def random_unitary(size: int, rng: np.random.Generator) -> Array:
    return np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))[0]


def random_error(qubits: int, rng: np.random.Generator) -> aer.QuantumError:
    """Of any kind that Aer makes, on one to three qubits."""
    if qubits > 1 and rng.random() < 0.4:
        return random_error(1, rng).tensor(random_error(qubits - 1, rng))
    letters = ["".join(rng.choice(list("IXYZ"), qubits)) for _ in range(3)]
    p = float(rng.uniform(0.01, 0.3))
    kinds = [
        lambda: aer.depolarizing_error(p, qubits),
        lambda: aer.pauli_error([("I" * qubits, 1 - p), (letters[0], p / 2), (letters[1], p / 2)]),
        lambda: aer.coherent_unitary_error(random_unitary(2**qubits, rng)),
        lambda: aer.mixed_unitary_error([(random_unitary(2**qubits, rng), p), (np.eye(2**qubits), 1 - p)]),
        lambda: aer.kraus_error(list(random_kraus(qubits, rng))),
        lambda: random_error(qubits, rng).compose(aer.pauli_error([(letters[0], p), ("I" * qubits, 1 - p)])),
    ]
    if qubits == 1:
        kinds += [
            lambda: aer.thermal_relaxation_error(50.0, float(rng.uniform(10, 99)), 5.0, float(rng.uniform(0, 0.5))),
            lambda: aer.amplitude_damping_error(p, float(rng.uniform(0, 1))),
            lambda: aer.phase_amplitude_damping_error(p, p / 2, 0.1),
            lambda: aer.reset_error(p, p / 2),
        ]
    return kinds[int(rng.integers(len(kinds)))]()


def random_kraus(qubits: int, rng: np.random.Generator) -> Array:
    size = 2**qubits
    columns = np.linalg.qr(rng.normal(size=(3 * size, size)) + 1j * rng.normal(size=(3 * size, size)))[0]
    return columns.reshape(3, size, size)


def random_model(n: int, rng: np.random.Generator) -> aer.NoiseModel:
    """Errors for all qubits and for particular ones, of most operations."""
    model = aer.NoiseModel()
    for name in GATES:
        size = width(name)
        if size > n:
            continue
        if rng.random() < 0.6:
            made = random_error(size, rng)
            if rng.random() < 0.2:
                letters = ["".join(rng.choice(list("IXYZ"), size)) for _ in range(3)]
                made = aer.PauliLindbladError(letters, rng.uniform(0, 0.2, 3))
            model.add_all_qubit_quantum_error(made, name, warnings=False)
        for _ in range(int(rng.integers(3))):
            model.add_quantum_error(random_error(size, rng), name, rng.permutation(n)[:size].tolist(), warnings=False)
    return model


def width(name: str) -> int:
    return 2 if name == "unitary" else OPERATIONS[BY_NAME[name].op].num_qubits


def random_pair(n: int, length: int, rng: np.random.Generator) -> tuple[Circuit, QuantumCircuit]:
    """The same random circuit here and in Qiskit."""
    ours, theirs = Circuit.builder(n, n), QuantumCircuit(n, n)
    for _ in range(length):
        add(ours, theirs, str(rng.choice(GATES)), rng.permutation(n).tolist(), rng)
    return ours.build(), theirs


def add(
    ours: CircuitBuilder, theirs: QuantumCircuit, name: str, qubits: Sequence[int], rng: np.random.Generator
) -> None:
    qubits = list(qubits[: width(name)])
    if name == "unitary":
        matrix = random_unitary(4, rng)
        ours.unitary(matrix, *qubits)
        theirs.unitary(matrix, qubits)
        return
    spec = BY_NAME[name]
    params = rng.uniform(0, 6.28, len(spec.params)).tolist()
    ours.append(spec.op, qubits, params)
    getattr(theirs, name)(*params, *qubits)


def density_matrix(circuit: QuantumCircuit, model: aer.NoiseModel) -> Array:
    """Aer's own."""
    saved = circuit.copy()
    saved.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=model, max_parallel_threads=1)
    return np.asarray(simulator.run(saved, shots=1).result().data()["density_matrix"])
