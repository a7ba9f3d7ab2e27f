"""Circuits that nobody in this project wrote: each is read, run, and held against Qiskit's own parser and engines."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import qiskit.qasm2
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

import proxima
from proxima.contracts.result import RunResult

SHARED_CIRCUITS = Path(__file__).resolve().parent.parent.parent / "shared" / "circuits"
FILES = sorted(SHARED_CIRCUITS.glob("qasmbench/*.qasm"))
SHOTS = 4096

# Above this many qubits Qiskit's own statevector takes minutes; counts are compared instead.
STATEVECTOR_QUBITS = 16

pytestmark = pytest.mark.skipif(not FILES, reason=f"the shared circuits are not at {SHARED_CIRCUITS}")


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def circuits(request: pytest.FixtureRequest, px: proxima.Kernel) -> tuple[proxima.Circuit, QuantumCircuit]:
    """The same file, read by us and by Qiskit."""
    text = _declared(request.param.read_text())
    theirs = qiskit.qasm2.loads(text, custom_instructions=qiskit.qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    return px.load(request.param), theirs


def _declared(text: str) -> str:
    """Three of the files declare `reg` and measure `q` into `c`, which Qiskit refuses; this writes what they mean."""
    register = re.search(r"^qreg reg\[(\d+)\];$", text, re.MULTILINE)
    if register is None or "measure q[" not in text:
        return text
    return text.replace(register[0], f"{register[0]}\ncreg c[{register[1]}];").replace("measure q[", "measure reg[")


def test_statevector_or_counts_agree_with_qiskit(
    circuits: tuple[proxima.Circuit, QuantumCircuit], px: proxima.Kernel
) -> None:
    ours, theirs = circuits
    assert (ours.num_qubits, ours.num_clbits) == (theirs.num_qubits, theirs.num_clbits)
    result = px.run(ours, shots=SHOTS, seed=11)
    if not ours.is_dynamic and ours.num_qubits <= STATEVECTOR_QUBITS:
        state = px.run(ours, want="statevector", seed=11, precision="double").statevector
        assert state is not None
        expected = Statevector(theirs.remove_final_measurements(inplace=False)).data
        overlap = np.vdot(expected, state)
        assert np.abs(state - overlap / abs(overlap) * expected).max() < 1e-10
        _assert_counts_follow(result, _distribution(ours, np.abs(expected) ** 2))
    else:
        _assert_counts_alike(result, _qiskit_counts(theirs))


def _distribution(circuit: proxima.Circuit, probabilities: np.ndarray) -> dict[str, float]:
    """Exact probabilities of the classical bit strings, highest bit first, of a circuit that measures at its end."""
    measured = circuit.final_measurements or tuple((q, q) for q in range(circuit.num_qubits))
    width = circuit.num_clbits if circuit.final_measurements else circuit.num_qubits
    index = np.arange(len(probabilities))
    keys = sum((((index >> qubit) & 1) << clbit for qubit, clbit in measured), np.zeros_like(index))
    totals = np.bincount(keys, weights=probabilities, minlength=1)
    return {format(key, f"0{width}b"): float(totals[key]) for key in np.flatnonzero(totals > 1e-14).tolist()}


def _assert_counts_follow(result: RunResult, expected: dict[str, float]) -> None:
    assert result.counts is not None
    assert sum(result.counts.values()) == SHOTS
    assert set(result.counts) <= set(expected), "an outcome of probability zero was counted"
    for bits, probability in expected.items():
        # Below 25 expected counts the normal approximation behind "sigma" is too coarse.
        if SHOTS * probability >= 25:
            sigma = np.sqrt(SHOTS * probability * (1 - probability))
            assert abs(result.counts.get(bits, 0) - SHOTS * probability) <= 5 * sigma + 1e-9, bits


def _qiskit_counts(circuit: QuantumCircuit) -> dict[str, int]:
    simulator = AerSimulator(method="statevector", seed_simulator=5)
    job = simulator.run(qiskit.transpile(circuit, simulator, optimization_level=0), shots=SHOTS)
    return {bits.replace(" ", ""): n for bits, n in job.result().get_counts().items()}


def _assert_counts_alike(result: RunResult, other: dict[str, int]) -> None:
    """Two samples of one distribution: outcome by outcome, and bit by bit, within five standard errors."""
    assert result.counts is not None
    for bits in set(result.counts) | set(other):
        a, b = result.counts.get(bits, 0), other.get(bits, 0)
        if a + b >= 50:
            assert abs(a - b) <= 5 * np.sqrt(a + b), bits
    width = len(next(iter(other)))
    for bit in range(width):
        a, b = (sum(n for bits, n in counts.items() if bits[bit] == "1") for counts in (result.counts, other))
        spread = np.sqrt((a + b) * (1 - (a + b) / (2 * SHOTS)))
        assert abs(a - b) <= 5 * spread + 1e-9, f"bit {width - 1 - bit}"
