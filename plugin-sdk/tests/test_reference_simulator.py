"""The reference simulator, against closed forms and Qiskit's operators."""

from __future__ import annotations

import math

import numpy as np
import pytest

from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import CHANNELS, GATES, OPERATIONS, Op
from proxima.errors import UnsupportedError, UsageError
from proxima_sdk import reference
from proxima_sdk.circuits import ghz, random


def test_ghz() -> None:
    assert reference.distribution(ghz(4)) == pytest.approx({"0000": 0.5, "1111": 0.5})
    rho = reference.density_matrix(ghz(3))
    assert rho[0, 7] == pytest.approx(0.5)


def test_qubit_0_is_the_least_significant_bit() -> None:
    circuit = Circuit.builder(3, 3).x(0).measure(0, 2).build()
    assert np.argmax(reference.probabilities(circuit)) == 1
    assert reference.distribution(circuit) == pytest.approx({"100": 1.0})


def test_teleportation_with_conditions() -> None:
    builder = Circuit.builder(3, 2).u(0.9, 0.4, 1.7, 0).h(1).cx(1, 2).cx(0, 1).h(0).measure(0, 0).measure(1, 1)
    circuit = builder.x(2, condition=Condition((1,), 1)).z(2, condition=Condition((0,), 1)).build()
    rho = sum(reference.ensemble_of(circuit).values()).reshape((2,) * 6)
    received = np.einsum("abcdbc->ad", rho)
    psi = reference.statevector(Circuit.builder(1).u(0.9, 0.4, 1.7, 0).build())
    assert received == pytest.approx(np.outer(psi, psi.conj()))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.75, 1.0])
def test_depolarizing_shrinks_the_bloch_vector_by_one_minus_four_thirds_p(p: float) -> None:
    circuit = Circuit.builder(1).ry(0.8, 0).depolarizing(p, 0).build()
    x, _ = reference.expectation(circuit, PauliSum.parse("X"))
    assert x == pytest.approx((1 - 4 * p / 3) * math.sin(0.8))


def test_amplitude_damping_decays_towards_zero() -> None:
    circuit = Circuit.builder(1).x(0).amplitude_damping(0.3, 0).build()
    assert reference.probabilities(circuit) == pytest.approx([0.3, 0.7])


def test_reset_leaves_the_partner_mixed() -> None:
    rho = reference.density_matrix(Circuit.builder(2).h(0).cx(0, 1).reset(0).build())
    assert rho == pytest.approx(np.diag([0.5, 0.0, 0.5, 0.0]))


def test_bit_written_twice_keeps_the_last_value() -> None:
    circuit = Circuit.builder(2, 1).x(0).measure(0, 0).measure(1, 0).build()
    assert reference.distribution(circuit) == pytest.approx({"0": 1.0})


def test_variance_of_an_expectation_value() -> None:
    mean, variance = reference.expectation(Circuit.builder(1).ry(0.8, 0).build(), PauliSum.parse("2*Z"))
    assert (mean, variance) == pytest.approx((2 * math.cos(0.8), 4 * math.sin(0.8) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_statevectors_and_ensembles_agree(seed: int) -> None:
    circuit = random(4, 6, seed=seed)
    ensemble = {"".join(map(str, b[::-1])): np.trace(r).real for b, r in reference.ensemble_of(circuit).items()}
    final = reference._final_distribution(circuit)
    assert ensemble == pytest.approx({"".join(map(str, b[::-1])): p for b, p in final.items()})
    mean, variance = reference.expectation(circuit, PauliSum.parse("XYZI + 0.5*IZZX"))
    rest = Circuit.builder(4).bit_flip(0.0, 0).build()
    mixed = random(4, 6, seed=seed, measure=False)
    joined = [*mixed, *rest]
    builder = Circuit.builder(4)
    for op, qubits, params, _, _, matrices in joined:
        builder.append(op, qubits, params, matrices=matrices)
    assert reference.expectation(builder.build(), PauliSum.parse("XYZI + 0.5*IZZX")) == pytest.approx((mean, variance))


@pytest.mark.parametrize("seed", range(5))
def test_random_channels_keep_the_trace(seed: int) -> None:
    circuit = random(3, 5, seed=seed, operations=sorted(GATES | CHANNELS), measure=False)
    rho = reference.density_matrix(circuit)
    assert np.trace(rho) == pytest.approx(1.0)
    assert rho == pytest.approx(rho.conj().T)
    assert np.linalg.eigvalsh(rho).min() > -1e-12


@pytest.mark.parametrize("op", sorted(GATES - {Op.UNITARY}), ids=lambda op: op.name.lower())
def test_every_gate_agrees_with_qiskit(op: Op) -> None:
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import Statevector

    spec = OPERATIONS[op]
    angles = (0.7, -1.9, 0.4, 1.3)[: len(spec.params)]
    qubits = (2, 0, 3)[: spec.num_qubits]
    prepared = random(4, 3, seed=9, operations=[Op.H, Op.T, Op.CX], measure=False)
    builder, other = Circuit.builder(4), QuantumCircuit(4)
    for instruction in prepared:
        builder.append(instruction.op, instruction.qubits)
        getattr(other, instruction.op.name.lower())(*instruction.qubits)
    builder.append(op, qubits, angles)
    getattr(other, spec.name)(*angles, *qubits)
    overlap = np.vdot(Statevector(other).data, reference.statevector(builder.build()))
    assert abs(overlap) == pytest.approx(1.0, abs=1e-12)


def test_refuses_what_has_no_statevector() -> None:
    with pytest.raises(UnsupportedError, match="no statevector"):
        reference.statevector(Circuit.builder(1).bit_flip(0.1, 0).build())


def test_refuses_too_many_qubits() -> None:
    with pytest.raises(UsageError, match="12 qubits as a statevector, not 13"):
        reference.statevector(ghz(13))
    with pytest.raises(UsageError, match="6 qubits as a density matrix, not 7"):
        reference.density_matrix(Circuit.builder(7).reset(0).build())


def test_refuses_open_parameters() -> None:
    with pytest.raises(UsageError, match="rx has an open parameter"):
        reference.statevector(Circuit.builder(1).rx(Parameter("a"), 0).build())
