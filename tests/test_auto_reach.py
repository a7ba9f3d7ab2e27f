"""`auto` finds the engine for circuits that most engines cannot run, or take for ever over."""

from __future__ import annotations

from pathlib import Path

import pytest

import proxima
from proxima.contracts.execution import Execution, RunOptions
from proxima.paths import Paths
from proxima_sdk import circuits

CASES = {
    "1,000 qubits, Clifford": (circuits.clifford(1000, 10, seed=1), {"stim"}),
    "50 qubits, little entanglement": (circuits.brickwork(50, 4, seed=2), {"qiskit-aer"}),
    "24 qubits, random": (circuits.random(24, 5, seed=3), {"qsim", "pennylane", "cuquantum"}),
}


@pytest.mark.parametrize("name", CASES)
def test_auto_runs_what_few_engines_can(name: str, tmp_path: Path) -> None:
    circuit, able = CASES[name]
    with proxima.open(paths=Paths.under(str(tmp_path))) as px:
        result = px.run(circuit, shots=100, seed=1, store=False)
        explained = px.services.require(Execution).explain(circuit, RunOptions(shots=100))  # type: ignore[attr-defined]
    assert result.backend in able
    assert result.counts is not None
    assert sum(result.counts.values()) == 100
    assert {len(bits) for bits in result.counts} == {circuit.num_qubits}
    named = {offer.candidate.backend for offer in explained.offers}
    assert named | {refusal.candidate.backend for refusal in explained.refusals} >= able
