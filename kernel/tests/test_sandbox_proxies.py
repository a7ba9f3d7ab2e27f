"""Stand-ins behave as the objects they stand for; what a worker answers is held against what was asked."""

from __future__ import annotations

import dataclasses
import gc
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.backend import CancelToken, Plan, RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.features import features_of
from proxima.contracts.observable import PauliSum
from proxima.contracts.theme import Theme
from proxima.contracts.view import Group, Table
from proxima.errors import (
    CancelledError,
    CircuitSyntaxError,
    DeadlineExceededError,
    RunError,
    UnsupportedError,
    UsageError,
)
from proxima.permissions import Permission
from proxima.sandbox.errors import ProtocolError
from proxima.sandbox.proxies import stand_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

EVERYTHING = """
import dataclasses
import time
import weakref
import numpy as np
from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.backend import Backend, Estimate, Plan, Probe
from proxima.contracts.circuit import Circuit
from proxima.contracts.result import Gradient, RunResult
from proxima.contracts.theme import Theme
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.contracts.view import Group, Table
from proxima.errors import CircuitSyntaxError, UnsupportedError
from proxima.hookspecs import hookimpl

class Native:
    pass


MADE = weakref.WeakValueDictionary()


class Engine(Backend):
    name = "engine"

    def probe(self):
        return Probe("available", versions={"engine": "1"})

    def estimate(self, request, features):
        return Estimate(True, work={"gate": features.num_gates})

    def plan(self, request):
        if request.options.get("refuse"):
            raise UnsupportedError("no such thing", hint="ask for less")
        native = Native()
        MADE[id(native)] = native
        return Plan(backend="engine", request=request, method="statevector", native=native, timings={"translate": 0.5},
                    batch=request.options.get("batch", 1))

    def run_batch(self, plans, context):
        results = [self.run(plan, context) for plan in plans if not plan.request.options.get("left_out")]
        return [dataclasses.replace(result, method=f"one of {len(plans)}") for result in results]

    def run(self, plan, context):
        assert MADE[id(plan.native)] is plan.native
        options = plan.request.options
        if options.get("divide"):
            1 / 0
        end = time.monotonic() + options.get("seconds", 0)
        while time.monotonic() < end:
            if not options.get("deaf"):
                context.check()
            context.progress(0.5, "half")
            time.sleep(0.02)
        n = plan.request.circuit.num_qubits + options.get("more", 0)
        state = np.zeros(1 << n, dtype=np.complex64)
        state[0] = 1
        if context.scratch is not None:
            (context.scratch / "file").write_text("x")
        found = ()
        if "gradient" in plan.request.wants:
            names = tuple(options.get("names", plan.request.circuit.parameters))
            values = np.full(len(names), plan.request.parameters["a"])
            found = tuple(Gradient(str(o), names, values, "m") for o in plan.request.observables)
        notes = (str(len(MADE)), str(context.threads), str(context.scratch))
        return RunResult(backend="engine", method="statevector", precision="single", shots=None,
                         seed=plan.request.seed, statevector=state, gradients=found, notes=notes,
                         tier="C")


class Letters:
    name = "letters"
    extensions = (".let",)

    def recognises(self, head):
        return head.startswith(b"LET")

    def load(self, data, *, source, directory):
        if b"?" in data:
            raise CircuitSyntaxError("a question", path=source, line=3, column=4, token="?", hint="do not ask")
        return Circuit.builder(len(data), name=f"{directory}").build()

    def dump(self, circuit):
        return "x" * circuit.num_qubits


class Descent:
    name = "descent"

    def default_params(self):
        return {"steps": 3}

    def execute(self, circuit, params, *, cancel, progress):
        for step in range(params["steps"]):
            progress(step / params["steps"], f"step {step}")
            time.sleep(0.02)
        while params.get("forever") and not cancel.cancelled:
            time.sleep(0.01)
        return AlgorithmResult(-1.5, {"cancelled": cancel.cancelled}, (0.0, -1.5))


class Dot:
    name = "dot"
    formats = ("svg",)

    def render(self, subject, picture_format, options):
        return f"<svg>{subject.num_qubits} {options['size']}</svg>".encode()


class Source:
    name = "source"
    language = "python"
    library = "none"

    def generate(self, circuit):
        return f"# {circuit.num_qubits} qubits"


class Look:
    name = "look"
    title = "Look at it"

    def show(self):
        return Group((Table(("a",), ((1,), (2,))),), "shown")

    def act(self, action, values):
        return Group((), f"{action} {values['x']}")


class Plugin:
    @hookimpl
    def proxima_backends(self): return [Engine()]
    @hookimpl
    def proxima_formats(self): return [Letters()]
    @hookimpl
    def proxima_algorithms(self): return [Descent()]
    @hookimpl
    def proxima_visualizations(self): return [Dot()]
    @hookimpl
    def proxima_codegens(self): return [Source()]
    @hookimpl
    def proxima_views(self): return [Look()]
    @hookimpl
    def proxima_themes(self): return [Theme("paper", False, {"background": "#ffffff"})]
    @hookimpl
    def proxima_run_finished(self, result): print("finished", result.backend)


plugin = Plugin()
"""

CLASSES = {
    "backends": ("engine", "Engine"),
    "formats": ("letters", "Letters"),
    "algorithms": ("descent", "Descent"),
    "visualizations": ("dot", "Dot"),
    "codegens": ("source", "Source"),
    "views": ("look", "Look"),
}


@pytest.fixture
def plugin(sandbox: Any) -> Any:
    entry_points = {kind: [{"name": name, "class": f"plug_all.{cls}"}] for kind, (name, cls) in CLASSES.items()}
    entry_points["themes"] = [{"name": "paper", "class": "proxima.contracts.theme.Theme"}]
    capabilities = {"wants": ["statevector"], "precisions": ["single"], "methods": ["statevector"]}
    capabilities |= {"noise": False, "dynamic": False}  # type: ignore[dict-item]
    entry_points["backends"][0]["capabilities"] = capabilities  # type: ignore[assignment]
    sandbox.plugin("all", code=EVERYTHING, entry_points=entry_points)
    sandbox.start()
    return stand_in(lambda: sandbox.worker("all"))


def request(**options: Any) -> RunRequest:
    return RunRequest(circuit=Circuit.builder(3, 0).h(0).build(), shots=None, wants=("statevector",), options=options)


def test_every_kind_is_there_under_its_own_class(plugin: Any) -> None:
    for kind, (name, cls) in CLASSES.items():
        (item,) = getattr(plugin, f"proxima_{kind}")()
        assert item.name == name
        assert f"{type(item).__module__}.{type(item).__qualname__}" == f"plug_all.{cls}"
    assert plugin.proxima_themes() == [Theme("paper", False, {"background": "#ffffff"})]


def test_formats(plugin: Any) -> None:
    (letters,) = plugin.proxima_formats()
    assert letters.extensions == (".let",)
    assert letters.recognises(b"LETx")
    assert not letters.recognises(b"x")
    circuit = letters.load(b"LETx", source="f", directory=Path("/somewhere"))
    assert (circuit.num_qubits, circuit.name) == (4, "/somewhere")
    assert letters.dump(circuit) == "xxxx"
    with pytest.raises(CircuitSyntaxError, match="f:3:4: a question") as caught:
        letters.load(b"?", source="f", directory=None)
    assert (caught.value.line, caught.value.column, caught.value.token, caught.value.hint) == (3, 4, "?", "do not ask")


def test_algorithms_tell_progress_and_heed_a_cancel(plugin: Any) -> None:
    (descent,) = plugin.proxima_algorithms()
    assert descent.default_params() == {"steps": 3}
    told: list[Any] = []
    circuit = Circuit.builder(1).build()
    result = descent.execute(
        circuit, {"steps": 3}, cancel=CancelToken(), progress=lambda fraction, message: told.append(message)
    )
    assert result == AlgorithmResult(-1.5, {"cancelled": False}, (0.0, -1.5))
    assert told == ["step 0", "step 1", "step 2"]
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    params = {"steps": 1, "forever": True}
    assert descent.execute(circuit, params, cancel=token, progress=lambda *_: None).details == {"cancelled": True}


def test_visualizations_codegens_and_views(plugin: Any) -> None:
    circuit = Circuit.builder(2).build()
    assert plugin.proxima_visualizations()[0].render(circuit, "svg", {"size": 7}) == b"<svg>2 7</svg>"
    assert plugin.proxima_codegens()[0].generate(circuit) == "# 2 qubits"
    (look,) = plugin.proxima_views()
    assert look.title == "Look at it"
    assert look.show() == Group((Table(("a",), ((1,), (2,))),), "shown")
    assert look.act("press", {"x": 1}) == Group((), "press 1")


def test_a_backend_plans_runs_and_forgets(plugin: Any, sandbox: Any) -> None:
    (engine,) = plugin.proxima_backends()
    asked = request()
    assert engine.probe().versions == {"engine": "1"}
    assert engine.estimate(asked, features_of(asked.circuit)).work == {"gate": 1}
    plan = engine.plan(asked)
    assert plan.request is asked
    assert (plan.backend, plan.method, plan.timings) == ("engine", "statevector", {"translate": 0.5})
    result = engine.run(plan, RunContext(threads=3))
    np.testing.assert_array_equal(result.statevector, np.eye(8, dtype=np.complex64)[0])
    assert result.notes == ("1", "3", "None")
    assert result.tier == sandbox.supervisor.tier
    bound = engine.bind(plan, request(other=1))
    assert bound.request.options == {"other": 1}
    worker = sandbox.worker("all")
    del plan, bound
    gc.collect()
    assert len(worker.dropped) == 2
    kept = engine.plan(asked)
    assert not worker.dropped
    assert engine.run(kept, RunContext()).notes[0] == "1"


def test_a_batch_is_one_call(plugin: Any, sandbox: Any) -> None:
    (engine,) = plugin.proxima_backends()
    plans = [engine.plan(request(batch=2, more=0, number=number)) for number in range(2)]
    assert [plan.batch for plan in plans] == [2, 2]
    assert engine.plan(request(batch=10**9)).batch == 1024
    results = engine.run_batch(plans, RunContext())
    assert [result.method for result in results] == ["one of 2", "one of 2"]
    assert engine.run(plans[0], RunContext()).method == "statevector"
    sandbox.supervisor.restart("all")
    assert [result.method for result in engine.run_batch(plans, RunContext())] == ["one of 2", "one of 2"]
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        engine.run_batch(plans, RunContext(cancel=token))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"left_out": True}, "answered 2 runs with 1 results"), ({"more": 1}, "answered with statevector of shape")],
)
def test_a_batch_with_another_answer_ends_the_worker(plugin: Any, sandbox: Any, options: Any, message: str) -> None:
    (engine,) = plugin.proxima_backends()
    worker = sandbox.worker("all")
    with pytest.raises(ProtocolError, match=message):
        engine.run_batch([engine.plan(request()), engine.plan(request(**options))], RunContext())
    assert not worker.alive


@pytest.mark.parametrize("batch", [0, -1, True, 2.0, "2"])
def test_a_plan_whose_batch_is_no_number_ends_the_worker(plugin: Any, sandbox: Any, batch: Any) -> None:
    (engine,) = plugin.proxima_backends()
    with pytest.raises(ProtocolError, match="gave a plan that is none"):
        engine.plan(request(batch=batch))


def test_a_run_has_a_scratch_directory_of_its_own(plugin: Any, sandbox: Any, tmp_path: Path) -> None:
    (engine,) = plugin.proxima_backends()
    mine = tmp_path / "mine"
    mine.mkdir()
    result = engine.run(engine.plan(request()), RunContext(scratch=mine))
    used = Path(result.notes[2])
    assert used.parent == Path(sandbox.worker("all").policy.scratch)
    assert not used.exists()
    assert list(mine.iterdir()) == []


def test_errors_keep_their_type_and_hint(plugin: Any, sandbox: Any) -> None:
    (engine,) = plugin.proxima_backends()
    with pytest.raises(UnsupportedError, match="no such thing") as caught:
        engine.plan(request(refuse=True))
    assert caught.value.hint == "ask for less"
    pid = sandbox.worker("all").pid
    with pytest.raises(RunError, match="plugin all raised ZeroDivisionError: division by zero") as broken:
        engine.run(engine.plan(request(divide=True)), RunContext())
    assert "line " in str(broken.value.__cause__.__cause__)  # the worker's traceback
    assert sandbox.worker("all").pid == pid
    foreign = Plan(backend="other", request=request(), method="x", native=object())
    with pytest.raises(UsageError, match="made by another backend"):
        engine.run(foreign, RunContext())


def test_a_plan_outlives_its_worker(plugin: Any, sandbox: Any) -> None:
    (engine,) = plugin.proxima_backends()
    plan = engine.plan(request())
    sandbox.supervisor.restart("all")
    assert engine.run(plan, RunContext()).statevector.shape == (8,)
    sandbox.supervisor.restart("all")
    assert engine.run(engine.bind(plan, request()), RunContext()).statevector.shape == (8,)


def test_a_run_stops_when_told(plugin: Any, sandbox: Any) -> None:
    (engine,) = plugin.proxima_backends()
    plan = engine.plan(request(seconds=30))
    pid = sandbox.worker("all").pid
    told: list[Any] = []
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        engine.run(plan, RunContext(cancel=token, progress=lambda fraction, message: told.append((fraction, message))))
    assert time.monotonic() - started < 1.3
    assert (0.5, "half") in told
    with pytest.raises(DeadlineExceededError):
        engine.run(plan, RunContext(deadline=time.monotonic() + 0.2))
    assert sandbox.worker("all").pid == pid


def test_a_run_that_is_deaf_is_ended(plugin: Any, sandbox: Any) -> None:
    (engine,) = plugin.proxima_backends()
    worker = sandbox.worker("all")
    plan = engine.plan(request(seconds=30, deaf=True))
    started = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        engine.run(plan, RunContext(deadline=time.monotonic() + 0.2))
    assert time.monotonic() - started < 3
    assert not worker.alive
    assert any("did not stop 1 s after its deadline" in target for _, target in sandbox.audit("all"))
    plan = engine.plan(request(seconds=30, deaf=True))
    worker = sandbox.worker("all")
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        engine.run(plan, RunContext(cancel=token))
    assert worker.alive  # it was never asked to run
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(CancelledError):
        engine.run(plan, RunContext(cancel=token))
    assert not worker.alive


def test_a_result_of_another_size_ends_the_worker(plugin: Any, sandbox: Any) -> None:
    (engine,) = plugin.proxima_backends()
    worker = sandbox.worker("all")
    with pytest.raises(ProtocolError, match=r"plugin all answered with statevector of shape \(16,\), not \(8,\)"):
        engine.run(engine.plan(request(more=1)), RunContext())
    assert not worker.alive
    assert engine.run(engine.plan(request()), RunContext()).statevector.shape == (8,)


def test_a_gradient_is_of_the_observables_and_parameters_that_were_asked(plugin: Any, sandbox: Any) -> None:
    (engine,) = plugin.proxima_backends()
    circuit = Circuit.builder(3).ry(Parameter("a"), 0).build()
    asked = RunRequest(
        circuit=circuit,
        shots=None,
        wants=("statevector", "gradient"),
        observables=(PauliSum.parse("ZZZ"), PauliSum.parse("XII")),
        parameters={"a": 0.25},
    )
    found = engine.run(engine.plan(asked), RunContext()).gradients
    assert [(g.observable, g.parameters, g.values.tolist()) for g in found] == [
        ("ZZZ", ("a",), [0.25]),
        ("XII", ("a",), [0.25]),
    ]
    other = dataclasses.replace(asked, options={"names": ["b"]})
    with pytest.raises(ProtocolError, match="derivatives by other parameters"):
        engine.run(engine.plan(other), RunContext())
    assert engine.run(engine.plan(request()), RunContext()).gradients == ()


@pytest.mark.parametrize("granted", [(), (Permission("database"),)], ids=["nothing", "database"])
def test_a_finished_run_is_told_who_may_read_results(plugin: Any, sandbox: Any, granted: Any) -> None:
    (engine,) = plugin.proxima_backends()
    result = engine.run(engine.plan(request()), RunContext())
    sandbox.worker("all").granted = granted
    plugin.proxima_run_finished(result)
    sandbox.close()
    assert ("finished engine" in sandbox.output("all")) is bool(granted)
