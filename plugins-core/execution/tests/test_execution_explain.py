"""``proxima explain`` says of every backend whether it can, what it would cost and what that rests on."""

import json

import pytest

from proxima.cli import main
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions


def explained(capsys, *words):
    code = main(["explain", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_every_backend_is_accounted_for(bell_file, capsys):
    code, data = explained(capsys, str(bell_file))
    assert code == 0
    by_name = {c["backend"]: c for c in data["candidates"]}
    assert set(by_name) == {
        "exact", "unhurried", "distant", "flipped", "unflipped", "absent", "raising", "vast", "failing", "endless"
    }  # fmt: skip
    exact = by_name["exact"]
    assert exact["method"] == "density_matrix"
    assert exact["seconds"]["total"] == pytest.approx(0.001, rel=0.01)
    assert exact["seconds"]["translation"] is None
    assert exact["memory_bytes"] == 256
    assert exact["rates"] == {"source": "manifest", "typical_error": None}
    assert exact["past_runs"] == {"number": 0, "factor": 1.0, "typical_error": None, "cold": True}
    assert by_name["distant"]["seconds"]["import"] == 0.05
    assert by_name["absent"]["feasible"] is False
    assert by_name["absent"]["hint"] == "pip install exact-engine"
    assert "libexact.so" in by_name["raising"]["reason"]
    assert by_name["endless"]["reason"] == "it does not give counts"
    assert data["chosen"] == data["candidates"][0]["backend"] == "exact"


def test_explain_names_what_run_takes(bell_file, capsys, execution):
    _, data = explained(capsys, str(bell_file), "--precision", "double")
    result = execution.run(execution.load(str(bell_file)), RunOptions(precision="double", store=False))
    assert (data["chosen"], data["reason"]) == (result.selection.chosen, result.selection.reason)


@pytest.mark.parametrize(
    ("words", "backend", "reason"),
    [
        (["--noise", "bit_flip:0.1"], "flipped", "it does not simulate noise"),
        (["--want", "density_matrix"], "flipped", "it does not give density matrix"),
        (["--precision", "double"], "distant", "it computes in single precision only"),
        (["--method", "patience"], "exact", "it has no method called 'patience'"),
    ],
)
def test_the_options_are_those_of_run(bell_file, capsys, words, backend, reason):
    _, data = explained(capsys, str(bell_file), *words)
    refused = {c["backend"]: c["reason"] for c in data["candidates"] if not c["feasible"]}
    assert refused[backend].startswith(reason)


def test_it_is_shown_for_people(bell_file, capsys, execution):
    assert main(["explain", str(bell_file), "--shots", "77"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "wanted: counts from 77 shots, at least single precision" in out
    assert "absent cannot: the engine is not installed (pip install exact-engine)" in out
    assert "chosen: exact: 1 ms estimated" in out
    assert "shipped rates" in out


def test_a_decomposition_is_shown(home, capsys):
    path = home / "swap.qasm"
    path.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nswap q[0],q[1];\n')
    _, data = explained(capsys, str(path))
    notes = {c["backend"]: c["notes"] for c in data["candidates"] if c["feasible"]}
    assert notes["unflipped"] == ["Operations that the backend does not know were written in those it knows: swap."]
    assert notes["exact"] == []


def test_where_none_can_the_exit_status_says_so(home, capsys):
    path = home / "wide.qasm"
    path.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[13];\nh q[0];\n')
    code, data = explained(capsys, str(path), "--want", "density_matrix")
    assert code == 3
    assert (data["chosen"], data["reason"]) == (None, "no installed backend can run this circuit")
    assert main(["explain", str(path), "--want", "density_matrix"]) == 3


def test_nothing_is_run_and_nothing_stored(bell_file, home, capsys):
    assert main(["explain", str(bell_file)]) == 0
    assert not (home / "home" / "state" / "observations.sqlite").exists()
    assert not list(home.glob("home/**/results.sqlite"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere.qasm"], "there is no file nowhere.qasm"),
        (["{}", "--shots", "0"], "shots: expected a whole number from 1"),
        (["{}", "--noise", "bit_flip:nan"], "'nan' is not a number between 0 and 1"),
        (["{}", "--want", "luck"], "unknown result 'luck'"),
        (["{}", "--param", "a=1"], "no parameter is called a"),
    ],
)
def test_bad_input_is_named(bell_file, capsys, words, told):
    assert main(["explain", *(word.format(bell_file) for word in words)]) == 2
    assert told in capsys.readouterr().err


def test_choosing_costs_little(execution):
    circuit = Circuit.builder(4)
    for _ in range(250):
        circuit.h(0).cx(0, 1).rz(0.1, 2).cx(2, 3)
    built = circuit.measure_all().build()
    results = [execution.run(built, RunOptions(backend="auto", store=False, shots=1)) for _ in range(3)]
    # 5 ms on a quiet machine (tests/benchmarks/bench_selection.py measures it); a loaded one is allowed much more.
    assert min(r.timings["select"] for r in results) < 0.1
