"""`proxima bench lret-scalability`: what it measures, its limits, its files, an interruption."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

from proxima.errors import UsageError
from proxima_bench_lret.cases import Case, Row, circuit_of, probabilities, whole_numbers
from proxima_bench_lret.measuring import Measuring
from proxima_bench_lret.plot import picture
from proxima_bench_lret.report import as_csv, as_dict, as_table, remarks
from proxima_bench_lret.worker import Settings

SETTINGS = Settings(tolerance=5e-3, precision="single", repeats=1, seed=1)
ROWS = [
    Row(Case(n, depth, p), 0.01 * 4**n, 0.001 * 2**n, 4**n * 2**14, 2**n * 2**14, 5, 3e-3, 4e-3)
    for depth in (2, 4)
    for p in (0.001, 0.01)
    for n in (4, 5, 6)
]


def bench(*words: str, home: Path, **more: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PROXIMA_HOME": str(home), "COLUMNS": "80"}
    command = [sys.executable, "-m", "proxima", "bench", "lret-scalability", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, **more)  # type: ignore[call-overload,no-any-return]


def test_a_small_comparison_in_every_form(tmp_path: Path) -> None:
    words = ["--qubits", "3-4", "--depths", "2", "--noise", "0.01", "--json", "--csv", "s.csv", "--plot", "s.svg"]
    done = bench(*words, home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["complete"] is True
    assert set(told["versions"]) == {"cirq-core", "numpy", "proxima-lret-core"}
    assert [row["qubits"] for row in told["rows"]] == [3, 4]
    for row in told["rows"]:
        assert row["cirq_seconds"] > 0
        assert row["lret_seconds"] > 0
        assert row["rank"] >= 1
        # Both states are rounded to single precision: 256 elements by at most 2^-24 each.
        assert 0 < row["distance"] <= row["bound"] + 2e-5
        assert row["bound"] <= 5e-3
        # Fuchs and van de Graaf: 1 - sqrt(F) <= D, and D <= sqrt(1 - F).
        assert 1 - row["fidelity"] ** 0.5 <= row["distance"] + 1e-6
        assert row["distance"] <= (1 - min(row["fidelity"], 1.0)) ** 0.5 + 1e-3
    assert _rows(tmp_path / "s.csv")[1]["qubits"] == "4"
    assert (tmp_path / "s.svg").read_text("utf-8").startswith("<?xml")


def test_a_case_that_takes_too_long_is_ended_and_larger_ones_are_left_out() -> None:
    cases = [Case(n, 3, 0.02) for n in (3, 7, 9)]
    with Measuring(SETTINGS, seconds=1e-3) as measuring:
        rows = list(measuring.rows(cases, lambda fraction, words: None))
    assert rows[0].cirq_seconds is not None  # the first is always tried
    assert rows[1].cirq_seconds is None
    assert "left out: 3 qubits took longer than 1 ms" in remarks(rows)[0]


def test_memory_that_is_not_there_is_not_taken() -> None:
    with Measuring(SETTINGS, seconds=5.0) as measuring:
        (row,) = measuring.rows([Case(20, 1, 0.0)], lambda fraction, words: None)
    assert row.cirq_seconds is None
    assert "TiB of memory" in row.notes[0]
    assert row.lret_seconds is not None
    assert row.rank == 1
    assert "at most 10 qubits" in row.notes[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak memory is read from /proc")
def test_the_peak_memory_is_that_of_the_engine() -> None:
    with Measuring(SETTINGS, seconds=60.0) as measuring:
        small, large = measuring.rows([Case(4, 2, 0.0), Case(10, 2, 0.0)], lambda fraction, words: None)
    assert small.cirq_bytes is not None
    assert large.cirq_bytes is not None
    assert large.lret_bytes is not None
    # Cirq holds the matrix of 8 MiB, and a buffer of the same size; the low-rank state is 8 KiB.
    assert large.cirq_bytes > 2 * 8 * 4**10
    assert large.lret_bytes < 8 * 4**10
    assert small.cirq_bytes < 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="reads a pseudo-terminal as Linux has it")
def test_an_interruption_keeps_what_was_measured(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "proxima", "bench", "lret-scalability", "--qubits", "2-4", "--depths", "1,2,3,4,5,6,7,8",
        "--noise", "0.05", "--csv", "s.csv", "--json",
    ]  # fmt: skip
    env = os.environ | {"PROXIMA_HOME": str(tmp_path / "home"), "COLUMNS": "80"}
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while not re.search(rb"depth [2-8]", shown):  # so the cases of depth 1 are done
            shown += os.read(terminal, 4096)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to its children too
        out, _ = process.communicate(timeout=60)
        while part := _read(terminal):
            shown += part
    os.close(terminal)
    assert process.returncode == 130
    assert b"Traceback" not in shown
    told = json.loads(out)
    assert told["complete"] is False
    assert 3 <= len(told["rows"]) < 24
    assert f"interrupted: {len(told['rows'])} of 24 cases".encode() in shown
    assert len(_rows(tmp_path / "s.csv")) == len(told["rows"])


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody has the other end open any more
        return b""


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--qubits", "4-x"], "--qubits 4-x"),
        (["--qubits", "0"], "between 1 and 24"),
        (["--qubits", "9-4"], "or falls"),
        (["--depths", ""], "no whole number"),
        (["--noise", "nan"], "no probability"),
        (["--noise", "0.1,2"], "'2' is no probability"),
        (["--tolerance", "0"], "--tolerance 0"),
        (["--seconds", "nan"], "--seconds nan"),
        (["--repeats", "0"], "--repeats 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--plot", "s.gif"], "a plot is written as .png, .svg, .pdf"),
        (["--csv", "nowhere/s.csv"], "there is no directory"),
        (["--precision", "half"], "--precision"),
    ],
)
def test_wrong_usage_is_named_before_anything_is_measured(words: list[str], message: str, tmp_path: Path) -> None:
    done = bench(*words, home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_lists() -> None:
    assert whole_numbers("4-6,8,5", "qubits", 24) == (4, 5, 6, 8)
    assert probabilities("0.01,0.001,0.01") == (0.01, 0.001)
    with pytest.raises(UsageError, match="1-30"):
        whole_numbers("1-30", "qubits", 24)


def test_circuits_are_reproducible_and_as_deep_as_asked() -> None:
    first, again, other = (circuit_of(Case(4, 3, 0.01), seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    entangling = [op for op in first.all_operations() if len(op.qubits) == 2]
    assert len(entangling) == 2 + 1 + 2


@pytest.mark.parametrize(("ending", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [Row(Case(4, 2, 0.0))]], ids=["all", "one", "nothing measured"])
def test_pictures(rows: list[Row], ending: str, start: bytes) -> None:
    assert picture(rows, ending, tolerance=5e-3).startswith(start)


def test_tables_and_files() -> None:
    partial = Row(Case(12, 4, 0.01), lret_seconds=130.0, lret_bytes=10, notes=("Cirq: left out", "another"))
    text = as_table([*ROWS, partial])
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "depth 4, noise 0.01" in text
    assert "2 min 10 s" in text
    assert "< 1 MiB" in text
    again = list(csv.DictReader(io.StringIO(as_csv([partial]))))
    assert again[0]["notes"] == "Cirq: left out; another"
    assert again[0]["cirq_seconds"] == ""
    assert as_dict(partial)["speedup"] is None
    assert as_dict(ROWS[0])["speedup"] == pytest.approx(0.01 * 4**4 / (0.001 * 2**4))
    assert remarks([partial, *ROWS]) == [
        "Cirq: left out (12 qubits, depth 4, noise 0.01)",
        "another (12 qubits, depth 4, noise 0.01)",
    ]
