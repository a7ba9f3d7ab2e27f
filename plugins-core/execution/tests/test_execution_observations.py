"""What past runs took corrects an estimate, and one odd run does not."""

import json
import math
import os
import sqlite3
import subprocess
import sys

import pytest

from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima_execution.observations import Kind, Observations

RATES = {"run": 1e-3, "gate": 1e-6}
KIND = Kind.of("a", "statevector", {"engine": "1"}, cold=False)


@pytest.fixture
def observations(tmp_path):
    made = Observations(str(tmp_path / "state" / "observations.sqlite"))
    yield made
    made.close()


def add(observations, factor, number=1, *, gates=9000.0, kind=KIND):
    work = {"run": 1.0, "gate": gates}
    for _ in range(number):
        observations.add(kind, work, factor * (1e-3 + 1e-6 * gates))


def test_without_runs_nothing_is_corrected_and_no_file_made(observations):
    correction = observations.correction(KIND, RATES, 0.01, fit=True)
    assert (correction.factor, correction.runs, correction.typical) == (1.0, 0, None)
    assert not os.path.exists(observations.path)


def test_runs_that_took_twice_as_long_double_the_estimate(observations):
    add(observations, 2.0, 5)
    correction = observations.correction(KIND, RATES, 0.01, fit=True)
    assert correction.factor == pytest.approx(2.0)
    assert correction.runs == 5
    assert correction.typical == pytest.approx(1.0)


def test_one_odd_run_moves_nothing(observations):
    add(observations, 50.0)
    assert observations.correction(KIND, RATES, 0.01).factor == 1.0
    add(observations, 1.1, 6)
    assert observations.correction(KIND, RATES, 0.01).factor == pytest.approx(1.1)


def test_runs_of_another_size_weigh_little(observations):
    add(observations, 4.0, 5, gates=9_999_000.0)  # ten seconds
    add(observations, 1.0, 2)
    assert observations.correction(KIND, RATES, 0.01).factor == pytest.approx(1.0)
    assert observations.correction(KIND, RATES, 10.0).factor == pytest.approx(4.0)


def test_a_new_calibration_counts_at_once(observations):
    add(observations, 2.0, 5)
    doubled = {unit: 2 * rate for unit, rate in RATES.items()}
    assert observations.correction(KIND, doubled, 0.02).factor == pytest.approx(1.0)


@pytest.mark.parametrize(
    "other",
    [
        KIND._replace(backend="b"),
        KIND._replace(method="density_matrix"),
        KIND._replace(cold=True),
        Kind.of("a", "statevector", {"engine": "2"}, cold=False),
    ],
)
def test_runs_of_another_kind_say_nothing(observations, other):
    add(observations, 3.0, 5, kind=other)
    assert observations.correction(KIND, RATES, 0.01).factor == 1.0


def test_the_misfit_is_of_what_the_other_runs_predict(observations):
    for factor in (1.0, 2.0, 2.0, 2.0, 4.0):
        add(observations, factor)
    typical = observations.correction(KIND, RATES, 0.01, fit=True).typical
    assert typical == pytest.approx(math.exp(2 * math.log(2) / 5))
    assert observations.fit_of("a", {"engine": "1"}, RATES) == (5, pytest.approx(typical))
    assert observations.fit_of("b", {}, RATES) == (0, None)


def test_another_process_reads_what_was_added(observations):
    add(observations, 2.0, 5)
    observations.close()
    other = Observations(observations.path)
    assert other.correction(KIND, RATES, 0.01).factor == pytest.approx(2.0)
    other.close()


def test_runs_that_wait_are_written_at_exit(tmp_path):
    path = str(tmp_path / "observations.sqlite")
    code = (
        "import sys\n"
        "from proxima_execution.observations import Kind, Observations\n"
        "made = Observations(sys.argv[1])\n"
        "for _ in range(9):\n"
        "    made.add(Kind('a', 'b', '{}', False), {'run': 1.0}, 0.5)\n"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM runs").fetchone() == (9,)
    database.close()


def test_only_the_last_runs_of_a_kind_are_kept(observations):
    add(observations, 9.0, 70)
    add(observations, 1.5, 70)
    add(observations, 1.5, 3, kind=KIND._replace(method="other"))
    assert observations.correction(KIND, RATES, 0.01).factor == pytest.approx(1.5)
    observations.close()
    with sqlite3.connect(observations.path) as database:
        counts = dict(database.execute("SELECT method, count(*) FROM runs GROUP BY method").fetchall())
    database.close()
    assert counts == {"statevector": 64, "other": 3}


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_not_remembered(observations, seconds):
    observations.add(KIND, {"run": 1.0}, seconds)
    assert observations.correction(KIND, RATES, 0.01).runs == 0


def test_a_unit_without_a_rate_is_left_out(observations):
    observations.add(KIND, {"unknown": 1.0}, 1.0)
    assert observations.correction(KIND, RATES, 0.01).runs == 0
    assert observations.correction(KIND, RATES, math.inf).factor == 1.0


def test_what_cannot_be_stored_counts_in_this_process_and_explain_says_so(kernel, execution, tmp_path):
    (tmp_path / "file").write_text("in the way")
    execution.observations.path = str(tmp_path / "file" / "observations.sqlite")
    add(execution.observations, 2.0, 5)
    assert execution.observations.correction(KIND, RATES, 0.01).factor == pytest.approx(2.0)
    circuit = Circuit.builder(1).h(0).measure_all().build()
    execution.run(circuit, RunOptions(backend="exact", store=False))  # no run fails for it
    (note,) = execution.explain(circuit, RunOptions()).notes
    assert note.startswith("What runs take is not remembered: ")


def test_a_database_that_lost_its_table_fails_no_run(observations):
    add(observations, 2.0)
    with sqlite3.connect(observations.path) as database:
        database.execute("DROP TABLE runs")
    database.close()
    add(observations, 2.0, 3)
    observations.close()
    assert "no such table: runs" in observations.problem
    assert observations.correction(KIND, RATES, 0.01).runs == 4


def test_a_damaged_database_is_put_aside(tmp_path, caplog):
    path = tmp_path / "observations.sqlite"
    path.write_bytes(b"not a database" * 100)
    observations = Observations(str(path))
    assert observations.correction(KIND, RATES, 0.01).runs == 0
    add(observations, 2.0, 3)
    assert observations.correction(KIND, RATES, 0.01).runs == 3
    observations.close()
    assert list(tmp_path.glob("observations.sqlite.corrupt-*"))
    assert "was damaged" in caplog.text


def test_runs_are_observed_and_the_next_choice_knows(execution, kernel):
    circuit = Circuit.builder(2).h(0).cx(0, 1).measure_all().build()
    for seed in range(6):
        execution.run(circuit, RunOptions(backend="unhurried", seed=seed, store=False))
    explained = {o.candidate.backend: o.price for o in execution.explain(circuit, RunOptions()).offers}
    unhurried = explained["unhurried"]
    assert unhurried.correction.runs == 5  # the first was the engine's first in this process
    # It is estimated at 40 ms and takes a few, on a loaded machine more; never just what was estimated.
    assert unhurried.run_seconds == pytest.approx(0.04 * unhurried.correction.factor)
    assert unhurried.correction.factor != 1.0
    assert explained["exact"].correction.runs == 0


def test_a_run_with_other_threads_is_not_observed(execution):
    circuit = Circuit.builder(1).h(0).measure_all().build()
    execution.run(circuit, RunOptions(backend="exact", threads=777, store=False))
    assert not os.path.exists(execution.observations.path)


def test_the_file_holds_numbers_and_names_alone(execution, kernel):
    circuit = Circuit.builder(1, name="secret").h(0).measure_all().build()
    execution.run(circuit, RunOptions(backend="exact", store=False))
    execution.observations.close()
    with sqlite3.connect(execution.observations.path) as database:
        ((backend, method, work),) = database.execute("SELECT backend, method, work FROM runs").fetchall()
    database.close()
    assert (backend, method) == ("exact", "density_matrix")
    assert json.loads(work) == {"run": 1, "amplitude": 4.0}
    with open(execution.observations.path, "rb") as file:
        assert b"secret" not in file.read()
