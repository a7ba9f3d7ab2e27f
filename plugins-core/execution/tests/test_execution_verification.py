"""``proxima verify`` takes two engines that share little and finds out the one that errs: ``flipped``."""

import json

import numpy as np
import pytest

from proxima.cli import main
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima.contracts.noise import NoiseModel
from proxima.errors import NotFoundError, UsageError
from proxima_execution.fidelity import nearness
from proxima_execution.verification import verify
from proxima_sdk import reference

X_ON_ONE = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nx q[0];\nh q[1];\nh q[1];\nmeasure q -> c;\n'


@pytest.fixture
def x_file(home):
    path = home / "x.qasm"
    path.write_text(X_ON_ONE)
    return str(path)


def verified(capsys, *words):
    code = main(["verify", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_engines_that_agree(x_file, capsys):
    code, data = verified(capsys, x_file, "--backends", "exact,unflipped", "--seed", "1")
    assert (code, data["verdict"], data["backends"]) == (0, "agree", ["exact", "unflipped"])
    states, counts = data["tests"]
    assert states["name"] == "state fidelity"
    assert states["statistic"] == pytest.approx(1.0, abs=1e-12)
    assert states["distance"] < 1e-12
    assert states["p_value"] is None
    assert (counts["name"], counts["p_value"]) == ("counts", 1.0)


@pytest.mark.parametrize(("by", "tests"), [("auto", 2), ("state", 1), ("counts", 1)])
def test_engines_that_disagree(x_file, capsys, by, tests):
    code, data = verified(capsys, x_file, "--backends", "exact,flipped", "--by", by)
    assert (code, data["verdict"]) == (1, "disagree")
    assert len(data["tests"]) == tests
    assert not any(test["agrees"] for test in data["tests"])


def test_it_is_shown_for_people(x_file, capsys):
    assert main(["verify", x_file, "--backends", "exact,flipped"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "x on exact (density_matrix) and flipped (density_matrix)" in out
    assert "verdict: disagree. the statevectors of exact and flipped have the fidelity" in out


def test_two_are_chosen_by_themselves(execution):
    circuit = Circuit.builder(2).h(0).cx(0, 1).measure_all().build()
    found = verify(execution, circuit, RunOptions(store=False))
    assert found.verdict == "agree"
    assert len(set(found.backends)) == 2


def test_fewer_than_two_is_incomplete(home, capsys):
    path = home / "noisy.qasm"
    path.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nh q[0];\n')
    code, data = verified(capsys, str(path), "--noise", "bit_flip:0.1", "--backends", "exact,flipped")
    assert (code, data["verdict"], data["tests"]) == (3, "incomplete", [])
    assert data["reason"] == ("fewer than two backends can run the circuit (flipped: it does not simulate noise)")


def test_a_run_that_fails_is_incomplete(execution):
    circuit = Circuit.builder(1).h(0).measure_all().build()
    found = verify(execution, circuit, RunOptions(store=False), backends=["exact", "failing"])
    assert (found.verdict, found.tests) == ("incomplete", ())
    assert "division by zero in the engine" in found.errors["failing"]


def test_a_dynamic_circuit_is_compared_by_counts(execution):
    circuit = Circuit.builder(1, 2).h(0).measure(0, 0).reset(0).measure(0, 1).build()
    found = verify(execution, circuit, RunOptions(store=False), backends=["exact", "unhurried"])
    assert [test.name for test in found.tests] == ["counts"]
    alone = verify(execution, circuit, RunOptions(store=False), backends=["exact", "unhurried"], by="state")
    assert (alone.verdict, "depends on outcomes" in alone.reason) == ("incomplete", True)


def test_noise_is_compared_by_density_matrix(execution):
    circuit = Circuit.builder(2).h(0).cx(0, 1).build()
    options = RunOptions(store=False, noise=NoiseModel.parse("amplitude_damping:0.1"))
    (states,) = verify(execution, circuit, options, backends=["exact", "unhurried"]).tests
    assert (states.agrees, states.distance) == (True, pytest.approx(0.0, abs=1e-12))


def test_one_shot_tells_nothing(execution):
    circuit = Circuit.builder(1).h(0).measure_all().build()
    found = verify(execution, circuit, RunOptions(store=False, shots=1), backends=["exact", "unhurried"], by="counts")
    assert (found.verdict, found.reason) == ("incomplete", "there are too few shots to compare")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--backends", "exact"], 2, "verify takes two different backends, got exact"),
        (["--backends", "exact,exact"], 2, "verify takes two different backends"),
        (["--backends", "exact,flipped,vast"], 2, "verify takes two different backends"),
        (["--backends", "exact,exat"], 3, "there is no backend called 'exat'"),
        (["--alpha", "nan"], 2, "alpha: expected a number between 0 and 1, got nan"),
        (["--alpha", "0"], 2, "alpha: expected a number between 0 and 1"),
        (["--shots", "-3"], 2, "shots: expected a whole number"),
        (["--by", "luck"], 2, "invalid choice: 'luck'"),
    ],
)
def test_bad_input_is_named(x_file, capsys, words, code, told):
    assert main(["verify", x_file, *words]) == code
    assert told in capsys.readouterr().err


def test_names_are_checked_before_anything_runs(execution):
    circuit = Circuit.builder(1).h(0).build()
    with pytest.raises(NotFoundError):
        verify(execution, circuit, RunOptions(), backends=["exact", "nothing"])
    with pytest.raises(UsageError):
        verify(execution, circuit, RunOptions(), alpha=2.0)


def test_nearness_of_statevectors():
    a, b = np.array([1.0, 0.0]), np.array([1.0, 1e-5])
    fidelity, distance = nearness(a, np.exp(0.7j) * b)
    assert fidelity == pytest.approx(1.0, abs=1e-9)
    assert distance == pytest.approx(1e-5, rel=1e-6)  # the square root of 1 - F would be right to six digits at best
    assert nearness(a, np.array([0.0, 1.0])) == (0.0, pytest.approx(1.0))


def test_nearness_of_density_matrices():
    rng = np.random.default_rng(2)
    states = []
    for p in (0.1, 0.3):
        circuit = Circuit.builder(2).ry(0.4, 0).cx(0, 1).depolarizing(p, 0).depolarizing(p, 1).build()
        states.append(reference.density_matrix(circuit))
    assert nearness(states[0], states[0])[0] == pytest.approx(1.0, abs=1e-12)
    fidelity, distance = nearness(*states)
    assert 1 - np.sqrt(fidelity) <= distance <= np.sqrt(1 - fidelity)  # Fuchs and van de Graaf
    # Against commuting states the fidelity is that of the two distributions.
    p, q = rng.random(4), rng.random(4)
    p, q = p / p.sum(), q / q.sum()
    expected = np.sum(np.sqrt(p * q)) ** 2, 0.5 * np.abs(p - q).sum()
    assert nearness(np.diag(p), np.diag(q)) == pytest.approx(expected, abs=1e-12)
    psi = np.array([0.6, 0.8j])
    assert nearness(np.outer(psi, psi.conj()), np.eye(2) / 2)[0] == pytest.approx(0.5, abs=1e-7)
