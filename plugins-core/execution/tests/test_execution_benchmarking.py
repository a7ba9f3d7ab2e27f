"""Suites, timing, baselines, pictures and the page of ``proxima bench run``."""

import json
import math
import os
import re
import signal
import sys
import threading
import xml.etree.ElementTree as ElementTree

import pytest

from proxima.cli import main
from proxima.contracts.execution import RunOptions
from proxima.errors import UsageError
from proxima_execution.benchmarking.baseline import compare, student
from proxima_execution.benchmarking.html import log_share, to_html
from proxima_execution.benchmarking.measuring import Effort, measure
from proxima_execution.benchmarking.plots import picture
from proxima_execution.benchmarking.report import Measurement, Report, read_report
from proxima_execution.benchmarking.suites import make_suite
from proxima_execution.benchmarking.summary import standings
from proxima_execution.families import FAMILIES

ENDLESS = RunOptions(wants=("samples",))


def silent(fraction, message):
    pass


def report(*measurements, **changes):
    fields = {"host": {"machine": "x"}, "options": {"shots": 100}, "backends": ("a", "b"), "created": 0.0}
    return Report("families", measurements=measurements, **fields | changes)


def timed(*seconds, case="ghz-4", family="ghz", n=4, backend="a", circuit="c"):
    return Measurement(case, family, n, 5, circuit, backend, "done", method="statevector", seconds=seconds)


def test_a_family_of_a_size_is_always_the_same_circuit(kernel, execution):
    for name in FAMILIES:
        first, again = (make_suite(kernel, execution, name, [5]).cases[0] for _ in range(2))
        assert first.circuit == again.circuit
        assert (first.name, first.family, first.circuit.num_qubits) == (f"{name}-5", name, 5)
    several = make_suite(kernel, execution, "ghz, qft", [2, 3])
    assert [case.name for case in several.cases] == ["ghz-2", "ghz-3", "qft-2", "qft-3"]
    assert {case.family for case in make_suite(kernel, execution, "families", []).cases} == set(FAMILIES)


def test_the_noise_suite_has_noise(kernel, execution):
    cases = make_suite(kernel, execution, "noise", [3]).cases
    assert len(cases) == 6
    assert all(case.circuit.has_noise for case in cases)


def test_a_folder_is_read_and_what_is_damaged_left_out(kernel, execution, bell_file, tmp_path):
    folder = tmp_path / "circuits"
    folder.mkdir()
    (folder / "bell.qasm").write_bytes(bell_file.read_bytes())
    (folder / "broken.qasm").write_text("OPENQASM 2.0; qreg q[")
    (folder / "open.qasm").write_text("OPENQASM 3.0; input float a; qubit q; rx(a) q;")
    (folder / "notes.txt").write_text("not a circuit")
    suite = make_suite(kernel, execution, str(folder), [])
    assert [case.name for case in suite.cases] == ["bell.qasm"]
    assert set(suite.skipped) == {"broken.qasm", "open.qasm"}
    assert suite.skipped["open.qasm"] == "it has open parameters: a"
    assert len(make_suite(kernel, execution, str(bell_file), []).cases) == 1


def test_mqt_bench_makes_circuits(kernel, execution):
    pytest.importorskip("mqt.bench")
    suite = make_suite(kernel, execution, "mqt", [3])
    assert {"ghz-3", "qft-3", "wstate-3"} <= {case.name for case in suite.cases}
    assert all(case.circuit.num_qubits == 3 for case in suite.cases)
    assert {case.family for case in suite.cases} >= {"ghz", "qft"}


def test_mqt_bench_is_asked_for_where_it_is_absent(home, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mqt.bench", None)
    assert main(["bench", "run", "mqt"]) == 3
    assert 'pip install "proxima-execution[mqt]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["familes"], 2, "did you mean families?"),
        (["ghz,nothing"], 2, "there is no suite and no folder called 'nothing'"),
        (["empty"], 2, "empty holds no circuit file"),
        (["ghz", "--sizes", "4,nan"], 2, "--sizes 4,nan: expected whole numbers"),
        (["ghz", "--sizes", "0"], 2, "a size is a number of qubits from 1 to 1000, got 0"),
        (["empty", "--sizes", "4"], 2, "sizes are for families of circuits"),
        (["ghz", "--repeats", "0"], 2, "repeats: expected a whole number from 1"),
        (["ghz", "--warmup", "-1"], 2, "warmup: expected a whole number from 0"),
        (["ghz", "--timeout", "nan"], 2, "timeout: expected a positive number of seconds, got nan"),
        (["ghz", "--shots", "0"], 2, "shots: expected a whole number"),
        (["ghz", "--noise", "bit_flip:nan"], 2, "is not a number between 0 and 1"),
        (["ghz", "--backends", "exact,exat"], 3, "did you mean exact?"),
        (["ghz", "--plot", "x.pdf"], 2, "cannot plot to x.pdf"),
        (["ghz", "--output", "nowhere/x.json"], 2, "cannot write nowhere/x.json: there is no such folder"),
        (["ghz", "--html", "empty"], 2, "cannot write empty: it is a folder"),
        (["ghz", "--baseline", "none.json"], 2, "cannot read the report none.json"),
        ([], 2, "the following arguments are required: SUITE"),
    ],
)
def test_bad_input_is_named(home, capsys, words, code, told):
    (home / "empty").mkdir()
    assert main(["bench", "run", *words]) == code
    assert told in capsys.readouterr().err


def test_each_case_is_timed_on_each_backend_and_why_not_is_said(kernel, execution):
    cases = make_suite(kernel, execution, "ghz", [2, 13]).cases
    backends = ["exact", "absent", "failing"]
    found, interrupted = measure(execution, cases, backends, RunOptions(shots=5), Effort(1, 3), progress=silent)
    assert not interrupted
    by_key = {(m.case, m.backend): m for m in found}
    exact = by_key["ghz-2", "exact"]
    assert (exact.status, len(exact.seconds), exact.method) == ("done", 3, "density_matrix")
    assert all(0 < t < 10 for t in exact.seconds)
    assert by_key["ghz-13", "exact"].status == "cannot"
    assert "at most 12 qubits" in by_key["ghz-13", "exact"].reason
    assert by_key["ghz-2", "absent"].status == "cannot"
    assert by_key["ghz-2", "failing"].status == "failed"
    assert "division by zero" in by_key["ghz-2", "failing"].reason


def test_a_case_that_takes_too_long_ends(kernel, execution, monkeypatch):
    cases = make_suite(kernel, execution, "ghz", [2]).cases
    monkeypatch.setattr("proxima_execution.benchmarking.measuring._import", lambda *given: None)  # it would never end
    (found,), _ = measure(execution, cases, ["endless"], ENDLESS, Effort(0, 2, timeout=0.1), progress=silent)
    assert (found.status, found.seconds, found.reason) == ("timeout", (), "it took more than 0.1 s")


def test_ctrl_c_keeps_what_is_measured(kernel, execution, monkeypatch):
    cases = make_suite(kernel, execution, "ghz", [2]).cases
    monkeypatch.setattr("proxima_execution.benchmarking.measuring._import", lambda *given: None)  # it would never end
    alarm = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))

    def progress(fraction, message):
        if message.endswith("endless") and not alarm.is_alive():
            alarm.start()

    found, interrupted = measure(execution, cases, ["exact", "endless"], ENDLESS, Effort(0, 2), progress=progress)
    alarm.join()
    assert interrupted
    exact, endless = found
    assert (exact.status, len(exact.seconds)) == ("done", 1)  # of two
    assert (endless.status, endless.seconds) == ("interrupted", ())


def test_median_and_spread():
    m = timed(1.0, 2.0, 3.0, 4.0, 100.0)
    assert (m.median, m.spread) == (3.0, pytest.approx(1.4826))
    assert timed(2.0).spread == 0.0
    assert timed().median == math.inf


def test_a_report_is_read_again_as_it_was_written(tmp_path):
    made = report(timed(1.0, 2.0), timed(backend="b"), skipped={"x": "why"}, interrupted=True)
    path = tmp_path / "r.json"
    path.write_text(json.dumps(made.to_dict()))
    assert read_report(str(path)) == made


def damaged(change):
    data = report(timed(1.0, 2.0)).to_dict()
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "\x00\xff",
        "[" * 100_000,
        json.dumps({"format": "proxima-bench-99"}),
        json.dumps({"format": "proxima-bench-1"}),
        damaged(lambda d: d["measurements"][0].update(seconds=[math.nan])),
        damaged(lambda d: d["measurements"][0].update(seconds=[-1.0])),
        damaged(lambda d: d["measurements"][0].update(seconds="fast")),
        damaged(lambda d: d["measurements"][0].update(status="great")),
        damaged(lambda d: d["measurements"][0].pop("circuit")),
        damaged(lambda d: d.update(measurements=3)),
        damaged(lambda d: d.update(host=[])),
        damaged(lambda d: d.pop("options")),
    ],
)
def test_a_damaged_baseline_is_refused(home, capsys, text):
    path = home / "old.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(str(path))):
        read_report(str(path))
    assert main(["bench", "run", "ghz", "--sizes", "2", "--backends", "exact", "--baseline", str(path)]) == 2
    assert "old.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("then", "now", "change"),
    [
        ((1.0, 1.0, 1.0), (1.05, 1.05, 1.05), "same"),
        ((1.0, 1.0, 1.0), (1.2, 1.2, 1.2), "slower"),
        ((1.2, 1.2, 1.2), (1.0, 1.0, 1.0), "faster"),
        ((0.5, 1.0, 1.5), (0.9, 1.6, 2.5), "same"),  # 1.6, but the runs scatter by half
        ((0.5, 1.0, 1.5), (9.0, 10.0, 11.0), "same"),  # so few runs and such a scatter tell nothing
        ((0.9, 1.0, 1.1), (9.0, 10.0, 11.0), "slower"),
        ((0.9, 1.0, 1.1, 0.9, 1.1), (1.8, 2.0, 2.2, 1.9, 2.1), "slower"),
        ((0.9, 1.0, 1.1, 0.9, 9.0), (1.8, 2.0, 2.2, 1.9, 2.1), "same"),
        ((1.0,), (1.3,), "same"),  # one run each tells little
        ((1.0,), (9.0,), "slower"),
        ((), (1.0,), "new"),
        ((1.0,), (), "lost"),
        ((), (), "same"),
    ],
)
def test_a_difference_counts_beyond_noise(then, now, change):
    (found,) = compare(report(timed(*now)), report(timed(*then)))
    assert found.change == change
    if then and now:
        assert found.ratio == pytest.approx(sorted(now)[len(now) // 2] / sorted(then)[len(then) // 2])
        assert (found.change == "same") == (1 / found.beyond <= found.ratio <= found.beyond)


def test_few_runs_need_a_larger_difference():
    stats = pytest.importorskip("scipy.stats")
    for freedom in (4, 8, 20, 100):
        exact = stats.t.isf(stats.norm.sf(3.0), freedom)
        assert student(3.0, freedom) == pytest.approx(exact, rel=0.03)  # a series cut after its third term


def test_what_cannot_be_compared_is_said():
    (other,) = compare(report(timed(1.0)), report(timed(1.0, circuit="d")))
    assert (other.change, other.ratio) == ("other circuit", None)
    with pytest.raises(UsageError, match="the baseline was made with shots 7, this is with 100"):
        compare(report(), report(options={"shots": 7}))


def test_standings():
    made = report(timed(1.0), timed(2.0, backend="b"), timed(4.0, case="z"), timed(2.0, case="z", backend="b"))
    (first, second) = standings(made)
    assert (first.backend, first.measured, first.fastest) == ("a", 2, 1)
    assert first.factor == second.factor == pytest.approx(math.sqrt(2))
    assert standings(report(timed()))[1].factor is None


MIXED = [
    timed(1e-3, 1.1e-3, 1.2e-3),
    timed(1e-2, case="ghz-8", n=8),
    timed(2e-3, 9e-1, 2.0, backend="b"),
    timed(0.5, case="<alone>", family="<alone>", backend="b"),
    Measurement("ghz-8", "ghz", 8, 5, "c", "b", "cannot", "it <b>cannot</b>"),
]


@pytest.mark.parametrize("measurements", [[], MIXED, MIXED[:1], MIXED[3:4]], ids=["none", "mixed", "one", "bars"])
def test_pictures_are_drawn(measurements):
    pytest.importorskip("matplotlib")
    made = report(*measurements)
    assert picture(made, "png").startswith(b"\x89PNG\r\n\x1a\n")
    svg = picture(made, "svg")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert svg == picture(made, "svg")


def test_the_page_needs_nothing_else_and_escapes_what_it_shows():
    made = report(*MIXED, skipped={"<x>": "<y>"}, interrupted=True)
    page = to_html(made, compare(made, report(timed(1e-4, 1e-4, 1e-4))))
    assert "<b>cannot" not in page
    assert "&lt;alone&gt;" in page
    assert "&lt;x&gt;" in page
    assert "Interrupted" in page
    assert "slower" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert "<script" not in page


def test_log_share_lies_between():
    assert log_share(1.0, 1.0, 100.0) == pytest.approx(0.05)
    assert log_share(100.0, 1.0, 100.0) == pytest.approx(1.0)
    assert log_share(1.0, 1.0, 1.0) == 1.0


def test_the_command_measures_shows_and_writes(home, capsys):
    words = [
        "bench",
        "run",
        "ghz,qft",
        "--sizes",
        "2,3",
        "--backends",
        "exact,flipped",
        "--repeats",
        "3",
        "--shots",
        "9",
    ]
    files = ["--output", "now.json", "--html", "now.html"]
    assert main([*words, *files]) == 0
    out = capsys.readouterr().out
    assert "ghz-2" in out
    assert "geometric mean to fastest" in out
    assert "wrote now.html" in out
    stored = read_report("now.json")
    assert {m.backend for m in stored.measurements} == {"exact", "flipped"}
    assert "<h1>Benchmark: ghz,qft</h1>" in (home / "now.html").read_text()
    # Far slower then: now it is faster whatever else the machine does.
    data = json.loads((home / "now.json").read_text())
    for m in data["measurements"]:
        m["seconds"] = [1000.0, 1000.0, 1000.0] if m["seconds"] else []
    (home / "slow.json").write_text(json.dumps(data))
    assert main([*words, "--baseline", "slow.json", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {c["change"] for c in found["baseline"] if c["backend"] == "exact"} == {"faster"}
    for m in data["measurements"]:
        m["seconds"] = [1e-9, 1e-9, 1e-9] if m["seconds"] else []
    (home / "fast.json").write_text(json.dumps(data))
    assert main([*words, "--baseline", "fast.json"]) == 1
    assert "slower" in capsys.readouterr().out


def test_other_options_than_the_baselines_are_refused_before_anything_is_timed(home, capsys):
    words = ["bench", "run", "ghz", "--sizes", "2", "--backends", "exact", "--repeats", "1"]
    assert main([*words, "--output", "old.json"]) == 0
    assert main([*words, "--shots", "7", "--baseline", "old.json"]) == 2
    assert "the baseline was made with shots 1024, this is with 7" in capsys.readouterr().err


def test_where_nothing_could_be_timed_the_exit_status_says_so(home, capsys):
    assert main(["bench", "run", "ghz", "--sizes", "2", "--backends", "absent", "--repeats", "1"]) == 3
    assert "absent on ghz-2: absent is not available" in " ".join(capsys.readouterr().out.split())


def test_nothing_is_stored(home, kernel, capsys):
    assert main(["bench", "run", "ghz", "--sizes", "2", "--backends", "exact", "--repeats", "1"]) == 0
    assert not list(home.glob("home/**/results.sqlite"))
