"""``proxima sweep``, its points and file, and runs in parts."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from proxima.cli import main
from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.execution import RunOptions
from proxima.contracts.records import ResultStore
from proxima.contracts.result import ErrorBound, Expectation, RunResult
from proxima.errors import CancelledError, RunError, UsageError
from proxima.events import RunCompleted, RunStarted
from proxima_execution.executors import LocalExecutor
from proxima_execution.grid import grid_of
from proxima_execution.parts import together


def tilted() -> Circuit:
    return Circuit.builder(2).ry(Parameter("theta"), 0).cx(0, 1).build()


@pytest.fixture
def tilted_file(home):
    path = home / "tilted.qasm"
    path.write_text("OPENQASM 3.0; input float theta; qubit[2] q; ry(theta) q[0]; cx q[0], q[1];")
    return path


def test_a_grid_has_every_combination_and_both_ends():
    assert grid_of(["a=0:1:3", "b=-1,2.5"]) == [{"a": a, "b": b} for a in (0.0, 0.5, 1.0) for b in (-1.0, 2.5)]
    assert grid_of(["a=7"]) == [{"a": 7.0}]
    assert grid_of(["a=2:9:1"]) == [{"a": 2.0}]
    assert grid_of([]) == [{}]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a"], "expected NAME=START:STOP:COUNT"),
        (["=1"], "expected NAME=START:STOP:COUNT"),
        (["a=0:1"], "expected START:STOP:COUNT, A,B,..."),
        (["a=0:1:2:3"], "expected START:STOP:COUNT, A,B,..."),
        (["a=0:1:0"], "expected a count from 1"),
        (["a=0:1:2.5"], "expected START:STOP:COUNT, A,B,..."),
        (["a=0:1:99999999999"], "expected a count from 1"),
        (["a=x"], "or a number after the ="),
        (["a=1,,2"], "or a number after the ="),
        (["a=nan"], "expected finite numbers"),
        (["a=0:inf:3"], "expected finite numbers"),
        (["a=1", "a=2"], "a has values already"),
        (["a=0:1:2000", "b=0:1:2000"], "more than 1,000,000 points"),
    ],
)
def test_what_is_no_grid_is_refused(texts, message):
    with pytest.raises(UsageError, match=message):
        grid_of(texts)


def test_skipping_and_order_leave_each_point_as_it_is(execution):
    points = [{"theta": 0.1 * i} for i in range(6)]
    options = RunOptions(backend="exact", seed=3)
    every = dict(execution.sweep([tilted()], points, options))
    assert {n: r.counts for n, r in execution.sweep([tilted()], points, options, skip={0, 2, 5})} == {
        n: every[n].counts for n in (1, 3, 4)
    }


@pytest.fixture
def batches(execution, kernel, monkeypatch):
    """The sizes of the batches that the backend ``exact`` is given; it takes three plans at once."""
    backend, sizes = kernel.get("backends", "exact"), []
    plan, bind = backend.plan, backend.bind

    def run_batch(plans, context):
        sizes.append(len(plans))
        return [backend.run(each, context) for each in plans]

    monkeypatch.setattr(backend, "plan", lambda request: replace(plan(request), batch=3))
    monkeypatch.setattr(backend, "bind", lambda made, request: replace(bind(made, request), batch=3))
    monkeypatch.setattr(backend, "run_batch", run_batch, raising=False)
    return sizes


def test_a_backend_that_takes_several_points_gets_them_at_once(execution, kernel, batches):
    told = []

    def keep(event):
        told.append(event)

    kernel.events.subscribe(keep, RunStarted, RunCompleted)
    points = [{"theta": 0.1 * i} for i in range(9)]
    options = RunOptions(backend="exact", seed=3, shots=500, wants=("counts", "probabilities"))
    found = dict(execution.sweep([tilted(), tilted()], points, options))
    assert batches == [3, 3, 2, 3, 3, 2]  # the first point of each circuit is run by itself
    assert [found[i].probabilities[3] for i in range(9)] == pytest.approx([math.sin(0.05 * i) ** 2 for i in range(9)])
    assert {result.timings["select"] for number, result in found.items() if number % 9} == {0.0}
    assert len({event.run_id for event in told}) == 18
    assert [e.status for e in told if isinstance(e, RunCompleted)] == ["completed"] * 18
    batches.clear()
    alone = dict(execution.sweep([tilted(), tilted()], points, replace(options, deadline=60.0)))
    assert batches == []  # a deadline is each point's own
    assert {n: (r.counts, r.seed) for n, r in found.items()} == {n: (r.counts, r.seed) for n, r in alone.items()}


def test_a_batch_that_fails_is_tried_again_as_a_whole(execution, kernel, batches, monkeypatch):
    backend = kernel.get("backends", "exact")
    run_batch, failing = backend.run_batch, [RunError("the engine failed")]

    def fails_once(plans, context):
        if failing:
            raise failing.pop()
        return run_batch(plans, context)

    monkeypatch.setattr(backend, "run_batch", fails_once)
    points = [{"theta": 0.1 * i} for i in range(5)]
    found = list(execution.sweep([tilted()], points, RunOptions(backend="exact", seed=3)))
    assert [number for number, _ in found] == [0, 1, 2, 3, 4]
    assert batches == [3]


def test_a_sweep_of_several_circuits_numbers_them_in_order(kernel):
    circuits = [Circuit.builder(1).x(0).build(), Circuit.builder(1).h(0).h(0).build()]
    results = kernel.sweep(circuits, backend="exact", shots=10)
    assert [r.counts for r in results] == [{"1": 10}, {"0": 10}]
    assert all(r.id == "" for r in results)


def test_a_wrong_point_is_told_before_the_first_is_run(execution):
    told = []
    for points in ([{"theta": 0.1}, {}], [{"theta": 0.1}, {"theta": 1.0, "phi": 2.0}], [{"theta": math.nan}]):
        with pytest.raises(UsageError, match=r"theta|phi"):
            list(execution.sweep([tilted()], points, RunOptions(), progress=lambda *_: told.append(1)))
    assert told == []


class Flaky:
    """Fails ``times`` times after item a."""

    def __init__(self, times: int) -> None:
        self.left = times

    def open(self, kernel):
        def do(items, cancel):
            for item in items:
                if self.left and item != "a":
                    self.left -= 1
                    raise RunError("the engine failed")
                yield item

        return do


def test_the_local_executor_tries_again_and_is_cancelled(kernel):
    executor = LocalExecutor(kernel)
    assert list(executor.map(Flaky(2), "ab", retries=2)) == [(0, "a"), (1, "b")]
    with pytest.raises(RunError, match="the engine failed"):
        list(executor.map(Flaky(3), "ab", retries=2))
    token = CancelToken()
    answers = executor.map(Flaky(0), "abc", cancel=token)
    assert next(answers) == (0, "a")
    token.cancel()
    with pytest.raises(CancelledError, match="1 of 3 were done"):
        next(answers)


def test_parts_have_all_shots_and_the_exact_distribution(execution, kernel):
    circuit = Circuit.builder(1).ry(1.0, 0).build()
    options = RunOptions(backend="exact", seed=1, shots=10_001, parts=7, wants=("counts", "samples"))
    result = execution.run(circuit, options)
    assert sum(result.counts.values()) == 10_001 == len(result.samples) == result.shots
    assert result.counts["1"] == result.samples.sum()
    assert result.counts["1"] / 10_001 == pytest.approx(math.sin(0.5) ** 2, abs=0.022)  # 5 sigma
    record = kernel.services.require(ResultStore).get(result.id)
    assert record.options.parts == 7
    assert record.plugin == "backend-exact"
    again = execution.run(circuit, record.options)
    assert again.counts == result.counts
    assert (again.samples == result.samples).all()
    assert execution.run(circuit, RunOptions(backend="exact", seed=1, shots=10_001)).counts != result.counts


def test_estimates_of_parts_are_averaged_by_their_shots():
    def part(value, variance, error):
        expectation, bound = Expectation("Z", value, variance, error), ErrorBound("sampling", 0.4)
        return RunResult(
            backend="b", method="m", precision="double", shots=1, seed=0, expectations=(expectation,), error_bound=bound
        )

    # 300 outcomes of +1 and -1 with mean 0.4, and 100 with mean -0.2
    whole = together([part(0.4, 0.84, 0.03), part(-0.2, 0.96, 0.08)], [300, 100], 5)
    assert whole.error_bound == ErrorBound("sampling", 0.5 / 20)
    (found,) = whole.expectations
    assert found.value == pytest.approx(0.25)
    assert found.variance == pytest.approx(1 - 0.25**2)  # of outcomes +1 and -1
    assert found.standard_error == pytest.approx(math.hypot(0.75 * 0.03, 0.25 * 0.08))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RunOptions(parts=0), "parts: expected a whole number"),
        (RunOptions(parts=True), "parts: expected a whole number"),
        (RunOptions(parts=9, shots=8), "8 shots cannot be split in 9 parts"),
        (RunOptions(parts=2, wants=("statevector",)), "statevector cannot be put together from parts"),
    ],
)
def test_parts_that_cannot_be_are_refused(execution, options, message):
    with pytest.raises(UsageError, match=message):
        execution.run(Circuit.builder(1).h(0).build(), options)


def test_the_command_shows_points_and_goes_on_in_its_file(tilted_file, home, capsys):
    output = home / "points.jsonl"
    words = ["sweep", str(tilted_file), "--param", "theta=0:3:30", "--want", "expectation:ZI", "--backend", "exact"]
    assert main([*words, "-o", str(output)]) == 0
    out = capsys.readouterr().out
    assert "30 points, on exact" in out
    assert f"... 10 more: in {output}" in out
    lines = output.read_bytes().splitlines(keepends=True)
    values = [json.loads(line)["result"]["results"]["expectations"][0]["value"] for line in lines[1:]]
    assert values == pytest.approx([math.cos(3 * i / 29) for i in range(30)], abs=1e-12)
    output.write_bytes(b"".join(lines[:11]) + lines[11][:-9])  # as if killed while it wrote
    assert main([*words, "-o", str(output)]) == 0  # the seed is the file's
    assert "30 points, 10 of them there already" in capsys.readouterr().out
    assert [json.loads(line)["point"] for line in output.read_bytes().splitlines()[1:]] == list(range(30))


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--shots", "7"], 2, "of another sweep: it differs in shots"),
        (["--seed", "4"], 2, "it differs in seed"),
        (["--param", "phi=1"], 2, "it differs in points"),
        (["--executor", "nowhere"], 3, "there is no executor 'nowhere'"),
        (["--retries", "-1"], 2, "--retries: expected a whole number"),
    ],
)
def test_the_command_tells_what_is_wrong(tilted_file, home, capsys, more, code, message):
    words = ["sweep", str(tilted_file), "--param", "theta=0,1", "--backend", "exact", "-o", str(home / "points.jsonl")]
    assert main([*words, "--seed", "3"]) == 0
    assert main([*words, *more]) == code
    assert message in capsys.readouterr().err


def test_a_file_of_something_else_is_left_as_it_is(tilted_file, home, capsys):
    output = home / "notes.txt"
    for text in ("remember\n", "no newline", '{"sweep": {"format": 9}}\n', '{"sweep": 3}\n'):
        output.write_text(text)
        assert main(["sweep", str(tilted_file), "--param", "theta=0,1", "-o", str(output)]) == 2
        assert "a sweep's file" in capsys.readouterr().err
        assert output.read_text() == text
    assert main(["sweep", str(tilted_file), "--param", "theta=0,1", "-o", str(home / "no" / "file")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_a_sweep_without_values_names_the_parameter(tilted_file, capsys):
    assert main(["sweep", str(tilted_file)]) == 2
    assert "no value for theta" in capsys.readouterr().err
