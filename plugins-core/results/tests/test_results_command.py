from __future__ import annotations

import csv
import io
import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

import proxima
from proxima.cli import main
from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima.contracts.records import ResultStore, RunRecord
from proxima.contracts.result import CircuitInfo, Expectation, RunResult


def record(**fields) -> RunRecord:
    circuit = Circuit.builder(2, name="be\x1b[31mll").h(0).cx(0, 1).measure_all().build()
    result = RunResult(
        backend="exact",
        method="statevector",
        precision="double",
        shots=10,
        seed=3,
        counts={"00": 4, "11": 6},
        timings={"total": 0.5},
        circuit=CircuitInfo("bell", 2, 2, 4, 3, circuit.content_hash),
        **fields,
    )
    return RunRecord(circuit=circuit, options=RunOptions(), result=result, source="bell.qasm")


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Ids of a run with counts alone and of one with arrays."""
    monkeypatch.setenv("PROXIMA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PROXIMA_PLUGINS", "results")
    monkeypatch.chdir(tmp_path)
    state = np.array([0.6, 0, 0, 0.8j])
    with proxima.open() as kernel:
        store = kernel.services.require(ResultStore)
        plain = store.save(record())
        full = store.save(record(statevector=state, expectations=(Expectation("ZZ", 1.0, 0.0),)))
    return plain, full


def test_list_shows_the_newest_first_and_no_escape_sequences(stored, capsys):
    assert main(["results", "list"]) == 0
    out = capsys.readouterr().out
    assert out.index(stored[1]) < out.index(stored[0])
    assert "\x1b" not in out
    assert "be\\x1b[31mll" in out
    assert main(["results", "list", "--json", "--limit", "1"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert line["id"] == stored[1]
    assert main(["results", "list", "--backend", "none"]) == 0
    assert "no results of none" in capsys.readouterr().out
    assert main(["results", "list", "--limit", "0"]) == 2


def test_show_prints_a_record(stored, capsys):
    assert main(["results", "show", stored[1]]) == 0
    out = capsys.readouterr().out
    assert "backend   exact (statevector, double precision)" in out
    assert "<ZZ> = 1 " in out
    assert "statevector: shape (4,)" in out
    assert "11  6   60.0%" in out
    assert main(["results", "show", stored[1], "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["source"], data["results"]["statevector"][3]) == ("bell.qasm", [0.0, 0.8])
    assert main(["results", "show", "zzzz"]) == 3
    assert "no result has the id 'zzzz'" in capsys.readouterr().err


def test_exports_json_csv_and_npy(stored, tmp_path, capsys):
    assert main(["results", "export", stored[1], "-o", "run.json"]) == 0
    assert json.loads((tmp_path / "run.json").read_text())["counts"] == {"00": 4, "11": 6}
    assert main(["results", "export", stored[1], "--format", "csv"]) == 0
    tables = capsys.readouterr().out.split("\n\n")
    assert list(csv.reader(io.StringIO(tables[0]))) == [["bitstring", "count"], ["00", "4"], ["11", "6"]]
    assert list(csv.reader(io.StringIO(tables[2])))[4] == ["11", "0.0", "0.8"]
    assert main(["results", "export", stored[1], "--format", "npy", "-o", "psi.npy"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "psi.npy"), [0.6, 0, 0, 0.8j])
    assert main(["results", "export", stored[0], "--format", "npy", "-o", "x.npy"]) == 2
    assert "the result's arrays: none" in capsys.readouterr().err
    assert main(["results", "export", stored[0], "-o", "absent/x.json"]) == 1
    assert "absent/x.json" in capsys.readouterr().err


def test_delete_asks_unless_told(stored, capsys):
    assert main(["results", "delete", stored[0]]) == 2
    assert "add --yes" in capsys.readouterr().err
    assert main(["results", "delete", stored[0], "--yes"]) == 0
    assert main(["results", "show", stored[0]]) == 3


def test_delete_removes_a_damaged_record(stored, tmp_path, capsys):
    with sqlite3.connect(next(tmp_path.rglob("results.sqlite"))) as database:
        database.execute("UPDATE runs SET record = '{}' WHERE id = ?", (stored[0],))
    database.close()
    assert main(["results", "show", stored[0]]) == 1
    assert "delete it with `proxima results delete`" in capsys.readouterr().err
    assert main(["results", "delete", stored[0], "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": stored[0]}
    assert main(["results", "show", stored[0]]) == 3
    assert main(["results", "show", stored[1]]) == 0


def test_list_shortens_names_of_circuits_and_never_ids(stored, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    long = Circuit.builder(1, name="a" * 60).build()
    with proxima.open() as kernel:
        third = kernel.services.require(ResultStore).save(replace(record(), circuit=long))
    assert main(["results", "list"]) == 0
    out = capsys.readouterr().out
    assert all(record_id in out for record_id in (*stored, third))
    assert "aaa.." in out
    assert max(map(len, out.splitlines())) <= 80


def test_list_takes_any_limit(stored, capsys):
    assert main(["results", "list", "--limit", str(10**20), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_rerun_needs_a_plugin_that_runs_circuits(stored, capsys):
    assert main(["results", "rerun", stored[0]]) == 3
    assert "Execution is not available" in capsys.readouterr().err
