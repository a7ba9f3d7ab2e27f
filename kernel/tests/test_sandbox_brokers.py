"""What a plugin in a worker gets of the kernel besides sockets and files, and that it gets nothing more."""

import importlib.machinery
import json
import sys
import textwrap
import types
from dataclasses import replace

import numpy as np
import pytest

from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import ComparedRun, Comparison, Execution, RunOptions
from proxima.contracts.operations import Op
from proxima.contracts.records import RecordSummary, ResultStore, RunRecord, new_run_id
from proxima.contracts.result import CircuitInfo, ErrorBound, RunResult
from proxima.errors import NotFoundError
from proxima.sandbox.brokers import MAX_LISTED, read_secret

PARROT = """
from proxima.contracts.llm import ChatChunk
from proxima.hookspecs import hookimpl


class Parrot:
    name = "parrot"

    def models(self):
        return ["grey", "green"]

    async def chat(self, model, messages, tools=()):
        for message in messages:
            yield ChatChunk(text=f"{model}: {message.text} {[tool.name for tool in tools]}")


class Plugin:
    @hookimpl
    def proxima_llm_providers(self):
        return [Parrot()]


plugin = Plugin()
"""


class Shelf:
    """A result store in memory."""

    def __init__(self):
        self.records = {}
        self.limits = []

    def save(self, record):
        self.records[record.id] = record
        return record.id

    def list(self, *, limit=50, backend=None):
        self.limits.append(limit)
        rows = [
            RecordSummary(r.id, r.created, r.circuit.name, r.circuit.num_qubits, r.result.backend, r.options.shots, 0.5)
            for r in reversed(self.records.values())
        ]
        return [row for row in rows if backend in (None, row.backend)][:limit]

    def get(self, record_id):
        if record_id not in self.records:
            raise NotFoundError(f"no record {record_id}")
        return self.records[record_id]

    def delete(self, record_id):
        del self.records[record_id]


def record(backend, state):
    circuit = Circuit.builder(2, 2, name="bell").append(Op.H, (0,)).append(Op.CX, (0, 1)).build()
    result = RunResult(
        backend=backend,
        method="statevector",
        precision="double",
        shots=None,
        seed=7,
        error_bound=ErrorBound("exact", 1e-15),
        circuit=CircuitInfo("bell", 2, 2, 2, 2, circuit.content_hash),
        statevector=state,
    )
    return RunRecord(id=new_run_id(), circuit=circuit, options=RunOptions(), result=result)


@pytest.fixture
def shelf(brokered):
    made = Shelf()
    made.save(record("qsim", np.full(1 << 16, 2.0**-8, dtype=np.complex128)))
    made.save(record("aer", np.array([1, 0, 0, 0], dtype=np.complex128)))
    brokered.kernel.services.offer(ResultStore, "shelf", lambda: made)
    return made


def test_stored_results_can_be_read_and_nothing_else(brokered, shelf):
    brokered.grant("database")
    code = """
        import json
        from proxima.contracts.records import ResultStore
        from proxima.contracts.service import Service
        store = services.require(ResultStore)
        rows = store.list()
        (qsim,) = store.list(backend="qsim", limit=10**9)
        got = store.get(qsim.id)
        refused = []
        for attempt in (lambda: store.save(got), lambda: store.delete(qsim.id)):
            try:
                attempt()
            except PermissionError as error:
                refused.append(type(error).__name__)
        print(json.dumps([
            [row.backend for row in rows], got.circuit.name, float(abs(got.result.statevector**2).sum()), refused,
            services.get(Service)
        ]))
    """
    assert json.loads(brokered.run(code)) == [["aer", "qsim"], "bell", 1.0, ["PermissionDeniedError"] * 2, None]
    assert len(shelf.records) == 2
    assert max(shelf.limits) == MAX_LISTED


class Engine:
    """An execution service that flips a coin for each shot with the seed it is given."""

    def __init__(self):
        self.options = []

    def load(self, source, *, data=None):
        return Circuit.builder(1, 1, name=data.decode()).append(Op.H, (0,)).build()

    def run(self, circuit, options, *, cancel=None, progress=None):
        self.options.append(options)
        progress(0.5, "half way")
        ones = int(np.random.default_rng(options.seed).binomial(options.shots, 0.5))
        return replace(
            record("qsim", None).result, statevector=None, shots=options.shots,
            counts={"0": options.shots - ones, "1": ones},
        )  # fmt: skip

    def compare(self, circuit, backends, options, *, cancel=None, progress=None):
        result = self.run(circuit, options, cancel=cancel, progress=progress)
        return Comparison(tuple(ComparedRun(name, result) for name in backends), "agree", "both are one")


RUNS = """
    from proxima.contracts.execution import Execution, RunOptions
    execution = services.require(Execution)
    circuit = execution.load("coin.qasm", data=b"coin")
    told = []
    result = execution.run(circuit, RunOptions(shots=100, seed=3), progress=lambda *step: told.append(step))
    comparison = execution.compare(circuit, ["aer", "qsim"], RunOptions(shots=10))
    print(circuit.name, sum(result.counts.values()), told, comparison.verdict, len(comparison.runs))
    try:
        execution.run(circuit, RunOptions(shots=0))
    except Exception as error:
        print(type(error).__name__)
"""


def test_circuits_are_run_by_the_kernel_and_not_stored(brokered):
    engine = Engine()
    brokered.kernel.services.offer(Execution, "engine", lambda: engine)
    brokered.grant("execute_circuits")
    assert brokered.run(RUNS).splitlines() == ["coin 100 [(0.5, 'half way')] agree 2", "UsageError"]
    assert [options.store for options in engine.options] == [False, False]


REQUESTS = {
    "execute_circuits": """
        from proxima.contracts.execution import Execution
        services.require(Execution).load("coin.qasm", data=b"coin")
    """,
    "database": """
        from proxima.contracts.records import ResultStore
        services.require(ResultStore).list()
    """,
    "llm": "services.llm('parrot').models()",
    "secrets:TOKEN": "services.secret('TOKEN')",
}


@pytest.mark.parametrize("permission", REQUESTS)
def test_a_denial_names_the_permission(brokered, shelf, monkeypatch, permission):
    monkeypatch.setenv("PROXIMA_SECRET_TOKEN", "s3cret")
    ask = textwrap.indent(textwrap.dedent(REQUESTS[permission]).strip(), "    ")
    out = brokered.run(f"try:\n{ask}\nexcept PermissionError as error:\n    print(type(error).__name__, error)")
    assert out.startswith(f"PermissionDeniedError tea may not use {permission}")
    rows = brokered.kernel.permissions.audit.search(plugin="tea")
    assert [(row.permission, row.outcome) for row in rows] == [(permission, "blocked")]


@pytest.fixture
def parrot(workshop):
    entry = {"name": "parrot", "class": "plug_bird.Parrot", "description": "Repeats"}
    workshop.lay_out("bird", PARROT, type="llm_provider", entry_points={"llm_providers": [entry]})


@pytest.mark.usefixtures("parrot")
def test_a_model_answers_through_the_kernel(request):
    brokered = request.getfixturevalue("brokered")  # after the plugin is there
    brokered.grant("llm")
    code = """
        import asyncio
        from proxima.contracts.llm import ChatMessage
        from proxima.contracts.tool import ToolDefinition
        parrot = services.llm("parrot")

        async def talk():
            tool = ToolDefinition("run", "Runs", {"type": "object"})
            messages = [ChatMessage("user", "tea"), ChatMessage("user", "cake")]
            return [chunk.text async for chunk in parrot.chat("grey", messages, [tool])]

        print(parrot.models(), asyncio.run(talk()))
    """
    assert brokered.run(code) == "('grey', 'green') [\"grey: tea ['run']\", \"grey: cake ['run']\"]\n"
    targets = {row.target for row in brokered.kernel.permissions.audit.search(plugin="tea", outcome="used")}
    assert targets == {"parrot", "parrot grey"}


def test_a_secret_is_given_by_name_and_only_the_one_that_is_granted(brokered, monkeypatch):
    monkeypatch.setenv("PROXIMA_SECRET_TOKEN", "s3cret")
    monkeypatch.setenv("PROXIMA_SECRET_OTHER", "hidden")
    brokered.grant("secrets:TOKEN", "secrets:ABSENT")
    code = """
        print(services.secret("TOKEN"))
        for name in ("OTHER", "ABSENT", "token", "", "../TOKEN", "TOKEN=x", "TOKEN\\0", "A" * 10_000):
            try:
                print(services.secret(name))
            except Exception as error:
                print(type(error).__name__)
        print([key for key in os.environ if "SECRET" in key])
    """
    denied = "PermissionDeniedError"
    assert brokered.run(code).split() == ["s3cret", denied, "NotFoundError", *[denied] * 6, "[]"]
    assert not any("s3cret" in str(row) for row in brokered.kernel.permissions.audit.search())


def test_a_secret_is_taken_from_the_environment_then_from_the_keyring(monkeypatch):
    keyring = types.ModuleType("keyring")
    keyring.__spec__ = importlib.machinery.ModuleSpec("keyring", None)
    keyring.get_password = lambda service, name: {("proxima", "TOKEN"): "from the keyring"}.get((service, name))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert read_secret("TOKEN") == "from the keyring"
    monkeypatch.setenv("PROXIMA_SECRET_TOKEN", "from the environment")
    assert read_secret("TOKEN") == "from the environment"
    with pytest.raises(NotFoundError, match="there is no secret OTHER") as caught:
        read_secret("OTHER")
    assert "PROXIMA_SECRET_OTHER" in caught.value.hint


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("network.connect", ("localhost", "443", None)),
        ("network.connect", ("localhost", 443)),
        ("network.connect", ("localhost", 443, float("nan"))),
        ("network.connect", {"plugin": "cake", "host": "localhost", "port": 443, "seconds": None}),
        ("files.open", (b"/etc/passwd", "r")),
        ("results.list", (True, None)),
        ("llm.chat", ("parrot", "grey", ("text",), ())),
        ("secrets.get", None),
    ],
)
def test_arguments_of_other_types_end_the_conversation(brokered, method, arguments):
    brokered.grant("network:localhost", "file_read:all", "database", "llm", "secrets:A")
    code = f"""
        nan = float("nan")
        for request in ({method!r}, {arguments!r}), ("results.list", (1, None)):
            try:
                print(peer.call(*request))
            except Exception as error:
                print(type(error).__name__)
    """
    assert brokered.run(code).split() == ["ProtocolError"] * 2
    assert brokered.kernel.permissions.audit.search(outcome="used") == []


def test_a_plugin_cannot_speak_as_another(brokered, monkeypatch):
    """Whose request it is depends on the channel that it came by."""
    monkeypatch.setenv("PROXIMA_SECRET_TOKEN", "s3cret")
    brokered.kernel.permissions.declare("cake", "1.0", ["secrets:TOKEN"], first_party=True)
    code = """
        peer._plugin = "cake"
        try:
            print(services.secret("TOKEN"))
        except PermissionError as error:
            print(error)
    """
    assert brokered.run(code).startswith("tea may not use secrets:TOKEN")
