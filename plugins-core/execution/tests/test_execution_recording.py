"""Readout errors of a run on a backend that knows nothing of them, and noise from a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from proxima.cli import main
from proxima.contracts.circuit import Circuit, Condition
from proxima.contracts.execution import RunOptions
from proxima.contracts.noise import NoiseModel
from proxima.contracts.readout import ReadoutError
from proxima.contracts.result import counts_from_samples
from proxima_execution.recording import NOTE
from proxima_sdk import reference

FLIP = NoiseModel((), {None: ReadoutError(0.1, 0.3)})
FEEDBACK = Circuit.builder(2, 3).ry(1.1, 0).measure(0, 2).x(1, condition=Condition((2,), 1)).measure_all().build()


def options(**more) -> RunOptions:
    return RunOptions(backend="exact", seed=4, store=False, **more)


def test_final_measurements_are_recorded_wrong_with_the_right_frequency(execution):
    shots = 20_000
    counts = execution.run(Circuit.builder(2).x(1).build(), options(noise=FLIP, shots=shots)).counts
    for bits, p in {"10": 0.9 * 0.7, "11": 0.1 * 0.7, "00": 0.9 * 0.3, "01": 0.1 * 0.3}.items():
        assert abs(counts[bits] / shots - p) < 6 * (p * (1 - p) / shots) ** 0.5


def test_counts_and_samples_of_one_run_agree_and_come_again(execution):
    asked = options(noise=FLIP, shots=500, wants=("counts", "samples"))
    first, again = (execution.run(FEEDBACK, asked) for _ in range(2))
    assert first.counts == again.counts == counts_from_samples(first.samples)
    assert first.counts != execution.run(FEEDBACK, options(shots=500)).counts


def test_what_depends_on_a_bit_sees_the_recorded_value(execution):
    """x on qubit 1 runs with the probability that 1 is recorded: each qubit's state is known in closed form."""
    one = np.sin(0.55) ** 2
    recorded = one * 0.7 + (1 - one) * 0.1
    wants = ("density_matrix", "probabilities", "expectation", "counts")
    asked = RunOptions.parse(backend="exact", noise=FLIP, want=[*wants[:2], "expectation:ZI", "counts"], store=False)
    result = execution.run(FEEDBACK, asked)
    assert result.density_matrix.shape == (4, 4)
    assert result.probabilities[2:].sum() == pytest.approx(recorded, abs=1e-12)
    np.testing.assert_allclose(np.diag(result.density_matrix).real, result.probabilities, atol=1e-12)
    (expectation,) = result.expectations
    assert expectation.observable == "ZI"
    assert expectation.value == pytest.approx(1 - 2 * recorded, abs=1e-12)
    assert {len(bits) for bits in result.counts} == {3}
    assert NOTE in result.notes


def test_states_without_feedback_need_no_further_qubit(execution):
    circuit = Circuit.builder(1, 1).h(0).measure(0, 0).h(0).build()
    result = execution.run(circuit, options(noise=FLIP, wants=("density_matrix",)))
    np.testing.assert_allclose(result.density_matrix, reference.density_matrix(circuit), atol=1e-12)
    assert NOTE not in result.notes


def test_measurements_that_were_added_have_their_noise(execution):
    noise = NoiseModel.parse('{"rules": [{"channel": "bit_flip", "params": [1.0], "gates": ["measure"]}]}')
    assert execution.run(Circuit.builder(2).x(1).build(), options(noise=noise, shots=7)).counts == {"01": 7}


@pytest.fixture
def noise_file(home: Path) -> Path:
    path = home / "noise.json"
    rules = [{"channel": "depolarizing2", "params": [0.1], "gate_qubits": [[0, 1]]}]
    path.write_text(json.dumps({"rules": rules, "readout": {"0": [0.2, 0.2]}}))
    return path


def run_json(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_with_a_noise_file_comes_again_without_the_file(bell_file, noise_file, capsys):
    first = run_json(capsys, "run", str(bell_file), "--backend", "exact", "--noise", str(noise_file))
    assert set(first["counts"]) == {"00", "01", "10", "11"}
    assert main(["results", "show", first["id"]]) == 0
    assert "depolarizing2" in capsys.readouterr().out
    noise_file.unlink()
    again = run_json(capsys, "results", "rerun", first["id"])
    assert again["identical"] is True
    assert again["counts"] == first["counts"]


def test_compare_and_circuit_info_take_noise(bell_file, noise_file, capsys):
    told = ["--noise", str(noise_file)]
    compared = run_json(capsys, "compare", str(bell_file), "--backends", "exact,unhurried", "--seed", "1", *told)
    assert compared["verdict"] == "agree"
    facts = run_json(capsys, "circuit", "info", str(bell_file), *told)
    assert facts["operations"]["depolarizing2"] == facts["noise_channels"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), ("[", "not a noise model in JSON"), ('{"errors": [{}]}', "error 0 is damaged")],
)
def test_a_noise_file_that_is_wrong_is_a_mistake_of_usage(bell_file, home, capsys, content, message):
    if content is not None:
        (home / "bad.json").write_text(content)
    assert main(["run", str(bell_file), "--noise", "bad.json"]) == 2
    assert message in capsys.readouterr().err
