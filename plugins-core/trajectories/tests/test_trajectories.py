"""The walk over a state made of numpy arrays, held against the reference simulator's exact ensembles."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from proxima.contracts.backend import CancelToken, RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Condition, Instruction
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.errors import CancelledError
from proxima_sdk import reference
from proxima_sdk.conformance.statistics import fit
from proxima_trajectories import Answers, State, channel_of, ends, rows_of
from proxima_trajectories.state import drawn
from proxima_trajectories.walk import partings_of, waiting_states


class Vector(State):
    """A statevector, moved by the reference simulator; ``alive`` counts how many there are at once."""

    alive = 0
    most = 0

    def __init__(self, num_qubits: int) -> None:
        self.num_qubits, self.psi = num_qubits, reference.initial_state(num_qubits)
        Vector.alive += 1
        Vector.most = max(Vector.most, Vector.alive)

    def __del__(self) -> None:
        Vector.alive -= 1

    def apply(self, operation, check) -> None:
        matrix, qubits = operation
        self.psi = reference.apply(matrix, qubits, self.psi)

    def normalise(self) -> None:
        self.psi = self.psi / np.linalg.norm(self.psi)

    def one(self, qubit: int) -> float:
        return float(self.reduced((qubit,))[1, 1].real)

    def collapse(self, qubit: int, outcome: int) -> None:
        self.psi = reference.apply(np.diag([1 - outcome, outcome]).astype(complex), (qubit,), self.psi)
        self.normalise()

    def flip(self, qubit: int) -> None:
        self.psi = reference.apply(np.array([[0, 1], [1, 0]], dtype=complex), (qubit,), self.psi)

    def copy(self) -> Vector:
        other = Vector(self.num_qubits)
        other.psi = self.psi.copy()
        return other

    def reduced(self, qubits):
        axes = [self.num_qubits - 1 - q for q in reversed(qubits)]
        rows = np.moveaxis(self.psi.reshape((2,) * self.num_qubits), axes, range(len(axes))).reshape(2 ** len(axes), -1)
        return rows @ rows.conj().T

    def probabilities(self):
        return np.abs(self.psi) ** 2

    def sample(self, shots, rng, check):
        return drawn(self.probabilities(), shots, rng, check)

    def amplitudes(self):
        return self.psi

    def density(self):
        return np.outer(self.psi, self.psi.conj())

    def moments(self, observable, check):
        moved = np.zeros_like(self.psi)
        for coefficient, letters in observable.terms:
            term = self.psi
            for qubit, letter in enumerate(reversed(letters)):
                term = reference.apply(reference.PAULIS[letter], (qubit,), term)
            moved += coefficient * term
        return float(np.vdot(self.psi, moved).real), float(np.vdot(moved, moved).real)


def follow(
    circuit: Circuit, *wants: str, shots: int = 0, exact: bool = True, context: RunContext | None = None, **more
):
    request = RunRequest(circuit=circuit, wants=wants, shots=shots or None, **more)
    rng, context = np.random.default_rng(3), context or RunContext()

    def gate(step: Instruction):
        return reference.gate_matrix(step), step.qubits

    rows = rows_of(circuit.without_final_measurements(), gate, lambda step: channel_of(step, lambda m, q: (m, q)))
    answers = Answers(request, rng, context, shots=0 if exact else shots)
    found = ends(
        rows,
        Vector(circuit.num_qubits),
        circuit.num_clbits,
        at_once=1,
        shots=shots,
        least=1e-14 if exact else None,
        rng=rng,
        context=context,
    )
    count = 0
    for end in found:
        answers.add(end)
        count += 1
    return answers.fields(), count


def dynamic() -> Circuit:
    b = Circuit.builder(2, 3).ry(0.8, 0).measure(0, 0).x(1, condition=Condition((0,), 1)).ry(0.5, 0).reset(0).h(0)
    return b.measure(1, 1).ry(0.3, 1).measure(0, 2).build()


def noisy() -> Circuit:
    b = Circuit.builder(2).h(0).depolarizing(0.3, 0).cx(0, 1).amplitude_damping(0.4, 1)
    return b.depolarizing2(0.2, 1, 0).generalized_amplitude_damping(0.7, 0.3, 0).ry(0.4, 0).measure_all().build()


def test_every_way_of_a_dynamic_circuit_is_followed() -> None:
    observable = PauliSum.parse("ZX")
    found, _ = follow(dynamic(), "density_matrix", "probabilities", "expectation", observables=(observable,))
    assert found["density_matrix"] == pytest.approx(reference.density_matrix(dynamic()), abs=1e-12)
    assert found["probabilities"] == pytest.approx(reference.probabilities(dynamic()), abs=1e-12)
    value, variance = reference.expectation(dynamic(), observable)
    assert (found["expectations"][0].value, found["expectations"][0].variance) == pytest.approx((value, variance))
    assert found["expectations"][0].standard_error == 0.0


@pytest.mark.parametrize("circuit", [dynamic(), noisy()], ids=["dynamic", "noisy"])
def test_shots_follow_the_exact_distribution(circuit: Circuit) -> None:
    found, count = follow(circuit, "counts", "samples", shots=4000, exact=False)
    assert sum(found["counts"].values()) == 4000
    assert fit(found["counts"], reference.distribution(circuit)).accepted
    assert Counter("".join(map(str, row[::-1])) for row in found["samples"].tolist()) == found["counts"]
    assert count < 400  # shots share the ways that they have in common


def test_trajectories_give_expectation_values_with_their_error() -> None:
    observable = PauliSum.parse("ZZ - 0.5 * XI")
    (found,) = follow(noisy(), "expectation", shots=4000, exact=False, observables=(observable,))[0]["expectations"]
    value, _ = reference.expectation(noisy(), observable)
    assert 0 < found.standard_error < 0.03
    assert abs(found.value - value) < 6 * found.standard_error
    (once,) = follow(noisy(), "expectation", shots=1, exact=False, observables=(observable,))[0]["expectations"]
    assert once.standard_error == float("inf")


def test_a_channel_that_no_state_changes_is_not_looked_at() -> None:
    def channel(op: Op, *numbers: float):
        b = Circuit.builder(2)
        b.append(op, range(2 if op is Op.DEPOLARIZING2 else 1), numbers)
        (step,) = b.build()
        return channel_of(step, lambda m, q: (m, q))

    assert channel(Op.BIT_FLIP, 0.25).chances.tolist() == pytest.approx([0.75, 0.25])
    assert channel(Op.BIT_FLIP, 0.25).operations[0] is None
    assert len(channel(Op.DEPOLARIZING2, 0.15).operations) == 16
    assert channel(Op.AMPLITUDE_DAMPING, 0.25).chances is None
    assert len(channel(Op.DEPOLARIZING, 0.0).operations) == 1


def test_few_states_wait_at_a_time() -> None:
    b = Circuit.builder(2, 1)
    for _ in range(40):
        b.h(0).depolarizing(0.7, 1).reset(0)
    Vector.most = Vector.alive
    before = Vector.alive
    follow(b.measure(1, 0).build(), "counts", shots=300, exact=False)
    assert Vector.most - before <= 2 + waiting_states(300, 4)
    assert Vector.alive == before


def test_stops_when_told() -> None:
    token = CancelToken()
    context = RunContext(cancel=token, progress=lambda fraction, message: token.cancel())
    with pytest.raises(CancelledError):
        follow(dynamic(), "counts", shots=10, context=context)


def test_partings_are_measurements_and_resets_on_the_way() -> None:
    assert partings_of(dynamic()) == 3
    assert partings_of(Circuit.builder(2).h(0).cx(0, 1).measure_all().build()) == 0
