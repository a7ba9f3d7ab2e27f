"""Readout errors, held against an ensemble whose classical bits are mixed, and against exact frequencies."""

from __future__ import annotations

import numpy as np
import pytest

from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.operations import Op
from proxima.contracts.readout import ReadoutError, record_counts, record_samples, with_readout_in_the_middle
from proxima.contracts.result import counts_from_samples
from proxima_sdk import reference

ERRORS = {0: ReadoutError(0.1, 0.3), 1: ReadoutError(0.15, 0.15)}


def feedback(seed: int) -> Circuit:
    """Measurements in the middle, conditional ones among them, on two qubits with errors and one without."""
    rng = np.random.default_rng(seed)
    builder = Circuit.builder(3, 3)
    for _ in range(4):
        for qubit in range(3):
            builder.ry(rng.uniform(0, 3), qubit)
        builder.cx(*rng.permutation(3)[:2].tolist())
        measured, bit = int(rng.integers(3)), int(rng.integers(3))
        condition = Condition((bit,), 1) if rng.random() < 0.5 else None
        builder.append(Op.MEASURE, (measured,), clbit=int(rng.integers(3)), condition=condition)
        builder.rx(0.7, int(rng.integers(3)), condition=Condition((int(rng.integers(3)),), 1))
    return builder.build()


def exact(circuit: Circuit) -> reference.Ensemble:
    """The ensemble whose bits are mixed after each measurement, its error taken at its word."""
    ensemble = reference.initial_ensemble(circuit)
    for instruction in circuit:
        if instruction.op is not Op.MEASURE or instruction.qubits[0] not in ERRORS:
            ensemble = reference.advance(ensemble, instruction)
            continue
        error, at, mixed = ERRORS[instruction.qubits[0]], instruction.clbit, dict[reference.Bits, np.ndarray]()
        for before, rho in ensemble.items():
            runs = instruction.condition is None or instruction.condition.holds(before)
            for bits, part in reference.advance({before: rho}, instruction).items():
                wrong = (error.zero_for_one if bits[at] else error.one_for_zero) if runs else 0.0
                for flip, weight in ((0, 1 - wrong), (1, wrong)):
                    told = (*bits[:at], bits[at] ^ flip, *bits[at + 1 :])
                    mixed[told] = mixed.get(told, np.zeros_like(rho)) + weight * part
        ensemble = mixed
    return ensemble


@pytest.mark.parametrize("seed", range(8))
def test_the_circuit_does_what_recording_wrong_would(seed: int) -> None:
    circuit = feedback(seed)
    builder = circuit.empty_builder()
    for op, qubits, params, clbit, condition, _ in circuit:
        builder.append(op, qubits, params, clbit=clbit, condition=condition)
    for qubit in range(3):
        builder.rz(0.1, qubit)  # so that no measurement is final
    circuit = builder.build()
    wider = with_readout_in_the_middle(circuit, ERRORS)
    assert wider.num_qubits == 4
    expected, got = exact(circuit), reference.ensemble_of(wider)
    assert {bits for bits, rho in expected.items() if np.trace(rho).real > 1e-12} <= set(got)
    for bits, rho in got.items():
        np.testing.assert_allclose(rho[8:], 0, atol=1e-14)  # the qubit that was added ends in |0>
        np.testing.assert_allclose(rho[:8, :8], expected[bits], atol=1e-14)


def test_final_measurements_and_qubits_without_errors_stay_as_they_are() -> None:
    circuit = Circuit.builder(3, 2).h(0).measure(2, 0).h(2).measure(0, 0).measure(1, 1).build()
    assert with_readout_in_the_middle(circuit, ERRORS) is circuit


def test_a_measurement_that_another_overwrites_is_in_the_middle() -> None:
    circuit = Circuit.builder(1, 1).measure(0, 0).measure(0, 0).build()
    ops = [i.op for i in with_readout_in_the_middle(circuit, ERRORS)]
    assert ops == [Op.CX, Op.KRAUS, Op.MEASURE, Op.RESET, Op.MEASURE]


def test_the_added_qubit_has_a_name_of_its_own() -> None:
    builder = Circuit.builder()
    builder.add_qubits("readout", 1)
    builder.add_clbits("c", 1)
    circuit = builder.measure(0, 0).x(0).build()
    assert [r.name for r in with_readout_in_the_middle(circuit, ERRORS).qregs] == ["readout", "readout_"]


@pytest.mark.parametrize("width", [2, 70])
def test_counts_and_samples_are_recorded_with_the_errors(width: int) -> None:
    """All of 2^16 shots in 01 of the lowest bits; each outcome within six standard deviations of its frequency."""
    shots = 2**16
    errors = {0: ReadoutError(0.1, 0.3), width - 1: ReadoutError(0.25, 0.05)}
    samples = np.zeros((shots, width), dtype=np.uint8)
    samples[:, 0] = 1
    by_samples = counts_from_samples(record_samples(samples, errors, np.random.default_rng(1)))
    by_counts = record_counts({"0" * (width - 1) + "1": shots}, errors, np.random.default_rng(2))
    assert not samples[:, 1:].any()
    for counts in (by_samples, by_counts):
        assert sum(counts.values()) == shots
        assert list(counts) == sorted(counts)
        for high, low in np.ndindex(2, 2):
            p = (0.25 if high else 0.75) * (0.7 if low else 0.3)
            bits = f"{high}{'0' * (width - 2)}{low}"
            assert abs(counts[bits] / shots - p) < 6 * (p * (1 - p) / shots) ** 0.5


def test_counts_of_outcomes_that_meet_are_added() -> None:
    certain = {0: ReadoutError(1.0, 0.0)}
    assert record_counts({"0": 3, "1": 4}, certain, np.random.default_rng(0)) == {"1": 7}
