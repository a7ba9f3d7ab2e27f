from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxima.cli import main

GHZ = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[3];\nh q[0];\ncx q[0],q[1];\ncx q[1],q[2];\n'


@pytest.fixture
def ghz_file(home: Path) -> Path:
    path = home / "ghz.qasm"
    path.write_text(GHZ)
    return path


def run_json(capsys, *words: str):
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_run_prints_the_promised_object(bell_file, capsys):
    code, data = run_json(capsys, "run", str(bell_file), "--backend", "exact", "--seed", "7", "--shots", "100")
    assert code == 0
    assert list(data) == [
        "id", "circuit", "backend", "method", "selection", "shots", "seed", "precision", "counts", "results",
        "error_bound", "timings", "peak_rss_bytes", "versions", "notes", "tier",
    ]  # fmt: skip
    assert set(data["circuit"]) == {"name", "num_qubits", "num_clbits", "num_operations", "depth", "hash"}
    assert set(data["selection"]) == {"chosen", "reason", "candidates"}
    assert set(data["selection"]["candidates"][0]) >= {
        "backend", "feasible", "reason", "estimated_seconds", "estimated_bytes",
    }  # fmt: skip
    assert set(data["timings"]) == {
        "import", "select", "translate", "compile", "execute", "sample", "convert", "total",
    }  # fmt: skip
    assert (data["shots"], data["seed"], sum(data["counts"].values())) == (100, 7, 100)


def test_run_shows_a_histogram_and_the_choice(bell_file, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["run", str(bell_file), "--precision", "double"]) == 0
    out = capsys.readouterr().out
    assert "bell: 2 qubits, 4 operations, depth 3" in out
    assert "chosen: exact: 1 ms estimated, 10x faster than flipped" in out
    assert "stored as " in out
    assert max(map(len, out.splitlines())) <= 60


def test_run_gives_states_and_expectation_values(ghz_file, capsys):
    wants = ["--want", "statevector,probabilities", "--want", "expectation:0.5*ZZI - XIX"]
    code, data = run_json(capsys, "run", str(ghz_file), *wants)
    assert code == 0
    assert data["counts"] is None
    assert data["results"]["statevector"][7] == pytest.approx([0.5**0.5, 0.0])
    assert data["results"]["expectations"][0]["value"] == pytest.approx(0.5)
    assert data["precision"] == "double"
    assert main(["run", str(ghz_file), *wants, "--want", "density_matrix"]) == 0
    out = capsys.readouterr().out
    assert "111          +0.707107 + 0.000000i  0.500000" in out
    assert "density matrix 8 x 8, purity 1.000000" in out
    assert "= 0.5" in out


def test_run_reads_standard_input(home, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GHZ.encode())))
    assert main(["run", "-", "--backend", "exact"]) == 0
    assert "stdin: 3 qubits" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert main(["run", "-"]) == 2
    assert "<stdin> is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere.qasm"], 2, "there is no file nowhere.qasm"),
        (["bell.qasm", "--shots", "0"], 2, "shots: expected"),
        (["bell.qasm", "--want", "amplitudes"], 2, "unknown result 'amplitudes'"),
        (["bell.qasm", "--want", "expectation:ZZZ"], 2, "spans 3 qubits"),
        (["bell.qasm", "--noise", "static:0.1"], 2, "unknown noise 'static'"),
        (["bell.qasm", "--param", "theta"], 2, "expected NAME=VALUE"),
        (["bell.qasm", "--param", "theta=1"], 2, "no parameter is called theta"),
        (["bell.qasm", "--backend", "exat"], 3, "did you mean exact"),
        (["bell.qasm", "--backend", "absent"], 3, "pip install exact-engine"),
        (["bell.qasm", "--backend", "flipped", "--noise", "bit_flip:0.1"], 3, "it does not simulate noise"),
        (["bell.qasm", "--backend", "failing"], 1, "ZeroDivisionError"),
        (["bell.qasm", "--backend", "exact", "--deadline", "1e-9"], 1, "passed its deadline"),
    ],
)
def test_run_tells_what_is_wrong_with_its_exit_code(bell_file, capsys, words, code, message):
    assert main(["run", *words]) == code
    caught = capsys.readouterr()
    assert message in caught.err
    assert "Traceback" not in caught.err


def test_json_is_refused_before_the_run_where_the_array_is_too_large(home, capsys):
    path = home / "wide.qasm"
    path.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[20];\nh q[0];\n')
    assert main(["run", str(path), "--want", "statevector", "--json"]) == 2
    assert "1,048,576 elements" in capsys.readouterr().err


def test_a_result_that_cannot_be_stored_is_shown_and_the_exit_code_is_one(bell_file, home, capsys):
    (home / "home" / "data").mkdir(parents=True, exist_ok=True)
    (home / "home" / "data" / "results.sqlite").mkdir()
    code = main(["run", str(bell_file), "--backend", "exact", "--json"])
    caught = capsys.readouterr()
    assert code == 1
    assert sum(json.loads(caught.out)["counts"].values()) == 1024
    assert "error: The result was not stored" in caught.err
    assert main(["run", str(bell_file), "--backend", "exact", "--no-store"]) == 0


def test_compare_agrees_and_disagrees_by_its_exit_code(ghz_file, capsys):
    code, data = run_json(capsys, "compare", str(ghz_file), "--backends", "exact,unhurried", "--seed", "1")
    assert (code, data["verdict"], len(data["runs"])) == (0, "agree", 2)
    assert data["runs"][0]["distance"] <= data["runs"][0]["threshold"]
    asymmetric = ghz_file.with_name("asymmetric.qasm")
    asymmetric.write_text(GHZ.replace("cx q[1],q[2];", "x q[1];"))
    assert main(["compare", str(asymmetric), "--backends", "exact,unhurried,flipped,absent"]) == 1
    out = capsys.readouterr().out
    assert "verdict: disagree" in out
    assert "absent did not run it: " in out
    assert main(["compare", str(ghz_file), "--backends", "exact"]) == 1
    assert "verdict: incomplete" in capsys.readouterr().out


def test_backends_lists_each_with_its_state(home, capsys):
    code, data = run_json(capsys, "backends")
    assert code == 0
    by_name = {entry["name"]: entry for entry in data}
    assert by_name["exact"]["state"] == "available"
    assert by_name["exact"]["plugin"] == "backend-exact"
    assert by_name["exact"]["capabilities"]["max_qubits"] == 12
    assert (by_name["absent"]["state"], by_name["absent"]["hint"]) == ("not_installed", "pip install exact-engine")
    assert by_name["raising"]["state"] == "error"
    assert "libexact.so" in by_name["raising"]["reason"]
    assert main(["backends"]) == 0
    out = capsys.readouterr().out
    assert "pip install exact-engine" in out
    assert "unhurried: version 9 is not among the tested ones" in out


def test_circuit_shows_converts_and_counts(ghz_file, capsys, home):
    assert main(["circuit", "show", str(ghz_file)]) == 0
    assert capsys.readouterr().out.startswith("q[0]: -H--o-")
    assert main(["circuit", "info", str(ghz_file)]) == 0
    assert "Clifford                      yes" in capsys.readouterr().out
    code, data = run_json(capsys, "circuit", "info", str(ghz_file))
    assert (code, data["operations"], data["depth"]) == (0, {"cx": 2, "h": 1}, 3)
    target = home / "out.qasm"
    assert main(["circuit", "convert", str(ghz_file), "--to", "openqasm2", "-o", str(target)]) == 0
    capsys.readouterr()
    assert main(["circuit", "info", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hash"] == data["hash"]
    assert main(["circuit", "convert", str(ghz_file), "--to", "openqasm9"]) == 3
    assert "did you mean openqasm" in capsys.readouterr().err


def test_calibrate_times_and_stores_and_auto_uses_it(bell_file, exact_site, home, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{exact_site}:{':'.join(p for p in sys.path if p)}")
    monkeypatch.setattr("proxima_execution.commands.calibrate._TOTAL_SECONDS", 2.0)
    code, data = run_json(capsys, "calibrate", "--backends", "exact")
    assert code == 0
    measured = data["backends"]["exact"]
    assert measured["circuits"] > 10
    assert measured["rates"]["run"] >= 0
    assert measured["translation_seconds"] >= 0
    assert (measured["past_runs"], measured["past_typical"]) == (0, None)
    assert (home / "home" / "state" / "calibration.json").exists()
    _, result = run_json(capsys, "run", str(bell_file), "--precision", "double")
    estimated = {c["backend"]: c["estimated_seconds"] for c in result["selection"]["candidates"]}["exact"]
    assert estimated == pytest.approx(measured["rates"]["run"] + 16 * measured["rates"]["amplitude"])
    for _ in range(3):
        assert main(["run", str(bell_file), "--backend", "exact", "--no-store"]) == 0
    capsys.readouterr()
    _, data = run_json(capsys, "calibrate", "--backends", "exact")
    assert data["backends"]["exact"]["past_runs"] == 4  # with the one above
    assert data["backends"]["exact"]["past_typical"] >= 1.0
    assert main(["calibrate", "--backends", "exat"]) == 3
    assert "did you mean exact" in capsys.readouterr().err


def test_a_stored_run_is_run_again_with_the_same_counts(bell_file, capsys):
    _, first = run_json(capsys, "run", str(bell_file), "--backend", "exact", "--noise", "bit_flip:0.1")
    code, again = run_json(capsys, "results", "rerun", first["id"])
    assert code == 0
    assert again["identical"] is True
    assert again["counts"] == first["counts"]
    assert again["rerun_of"] == first["id"] != again["id"]
    assert again["changes"] == []
    assert main(["results", "rerun", first["id"]]) == 0
    assert f"the results are identical to those of {first['id']}" in capsys.readouterr().out


def test_an_interrupt_ends_a_process_within_a_second_with_nothing_stored(home, exact_site, bell_file):
    environment = {**os.environ, "PYTHONPATH": ":".join([str(exact_site), *(p for p in sys.path if p)])}
    words = ["run", str(bell_file), "--backend", "endless", "--want", "samples"]
    process = subprocess.Popen(
        [sys.executable, "-m", "proxima", *words],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, error = process.communicate(timeout=10)
    assert time.monotonic() - start < 1.0
    assert process.returncode == 130
    assert "Traceback" not in error
    listed = subprocess.run(
        [sys.executable, "-m", "proxima", "results", "list", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(listed.stdout) == []


def test_an_interrupted_calibration_leaves_the_stored_one(home, exact_site):
    stored = home / "home" / "state" / "calibration.json"
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text("as it was")
    environment = {**os.environ, "PYTHONPATH": ":".join([str(exact_site), *(p for p in sys.path if p)])}
    process = subprocess.Popen(
        [sys.executable, "-m", "proxima", "calibrate", "--backends", "exact"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2.5)  # its import is timed by now, and the circuits take half a minute
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert stored.read_text() == "as it was"


def test_run_shows_samples_highest_bit_first(home, capsys):
    path = home / "one.qasm"
    path.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nx q[0];\nmeasure q -> c;\n')
    assert main(["run", str(path), "--backend", "exact", "--want", "samples", "--shots", "18"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("01") == 16
    assert "... 2 more" in lines
