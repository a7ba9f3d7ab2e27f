"""Plugins tried in a locked worker: right ones pass, and each lie is found without its code running here."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from proxima.plugins.manifest import KINDS, read_manifest
from proxima.sandbox.probe import HostSupport
from proxima.sandbox.probe import probe as host_support
from proxima.store.probe import ProbeReport, probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

TOOL = """
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.hookspecs import hookimpl


class Act:
    name = "brew"

    def definition(self):
        return ToolDefinition("brew", "Brews tea", {"type": "object"})

    def call(self, arguments):
        return ToolResult("done")


class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Act()]


plugin = Plugin()
"""

OTHERS = """
from proxima.contracts.mcp_server import MCPServer
from proxima.contracts.theme import Theme
from proxima.contracts.view import Group
from proxima.hookspecs import hookimpl


class Lines:
    name = "lines"
    extensions = (".lines",)

    def recognises(self, head):
        return head.startswith(b"lines")

    def load(self, data, *, source, directory):
        from proxima.contracts.circuit import Circuit
        return Circuit.builder(2, 2).build()

    def dump(self, circuit):
        return "lines"


class Dot:
    name = "dot"
    formats = ("svg",)

    def render(self, subject, picture_format, options):
        return b"<svg/>"


class Say:
    name = "say"
    language = "python"
    library = "say"

    def generate(self, circuit):
        return "say()"


class Night(Theme):
    pass


class Sweep:
    name = "sweep"

    def default_params(self):
        return {"steps": 3}

    def execute(self, circuit, params, *, cancel, progress):
        raise NotImplementedError


class Panel:
    name = "panel"
    title = "Panel"

    def show(self):
        return Group(())

    def act(self, action, values):
        return self.show()


class Helper:
    name = "helper"

    async def pursue(self, goal, *, cancel):
        yield None


class Model:
    name = "model"

    def models(self):
        return ["small"]

    async def chat(self, model, messages, tools=()):
        yield None


class Files(MCPServer):
    pass


class Window:
    name = title = "window"
    key = "w"

    def create(self, kernel):
        import textual


class Adding:
    def total(self, left, right=0): ...


class Serve:
    def total(self, left, right=0):
        return left + right


class Greet:
    name = "greet"
    summary = "Greets"

    def configure(self, parser):
        from proxima.cli.output import table

    def run(self, args, kernel):
        return 0


class Plugin:
    @hookimpl
    def proxima_formats(self):
        return [Lines()]

    @hookimpl
    def proxima_visualizations(self):
        return [Dot()]

    @hookimpl
    def proxima_codegens(self):
        return [Say()]

    @hookimpl
    def proxima_algorithms(self):
        return [Sweep()]

    @hookimpl
    def proxima_views(self):
        return [Panel()]

    @hookimpl
    def proxima_themes(self):
        return [Night("night", True, {"background": "#COLOUR"})]

    @hookimpl
    def proxima_commands(self):
        raise SystemExit("not in a worker")


plugin = Plugin()
"""

BACKEND = """
import numpy as np
from proxima.contracts.backend import Backend, Estimate, Plan, Probe
from proxima.contracts.result import RunResult
from proxima.hookspecs import hookimpl


class Coin(Backend):
    name = "coin"

    def probe(self):
        return Probe("available")

    def estimate(self, request, features):
        return Estimate(True, method="coin")

    def plan(self, request):
        return Plan(backend=self.name, request=request, method="coin", native=None)

    def run(self, plan, context):
        half = plan.request.shots // 2
        return RunResult(
            backend=self.name, method="coin", precision="double",
            shots=plan.request.shots, seed=plan.request.seed, counts={"00": half, "OTHER": half},
        )


class Plugin:
    @hookimpl
    def proxima_backends(self):
        return [Coin()]


plugin = Plugin()
"""

Try = Callable[..., ProbeReport]


@pytest.fixture(scope="module")
def host() -> HostSupport:
    return host_support()


@pytest.fixture
def tried(workshop: Any, host: HostSupport) -> Try:
    """Lays a plugin out and tries it; nothing of it may be imported here."""

    def attempt(
        code: str = TOOL, *, seconds: float = 20, modules: Mapping[str, str] | None = None, **entries: Any
    ) -> ProbeReport:
        entries = entries or {"tools": [{"name": "brew", "class": "plug_tea.Act"}]}
        package: Path = workshop.lay_out("tea", type="tool", entry_points=entries)
        for name, source in {"__init__.py": code, **(modules or {})}.items():
            (package / name).write_text(source)
        manifest = read_manifest(str(package / "proxima-plugin.json"))
        report = probe(workshop.site, manifest, "plug_tea:plugin", host=host, seconds=seconds)
        assert "plug_tea" not in sys.modules
        assert not workshop.home.exists()  # nothing is remembered, granted or quarantined
        assert not list(package.rglob("__pycache__"))
        return report

    return attempt


def errors(report: ProbeReport) -> list[str]:
    return [f"{problem.where} {problem.message}" for problem in report.problems if problem.level == "error"]


def test_a_right_plugin_passes(tried: Try) -> None:
    report = tried()
    assert report.problems == ()
    assert report.ok
    assert report.contributions == (("tools", "brew"),)
    assert 0 < report.seconds < 20


ON_A_LESSER_HOST = """
import sys
import another_host
from proxima.plugins.manifest import read_manifest
from proxima.sandbox.probe import probe as host_support
from proxima.store.probe import probe
another_host.see({another_host.NAMESPACES: 1})
report = probe(sys.argv[1], read_manifest(sys.argv[2]), "plug_tea:plugin")
print(host_support().tier, report.ok, *(problem.message for problem in report.problems))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter that makes the other host is for x86_64")
def test_where_the_best_lock_fails_it_is_tried_in_what_the_host_has(workshop: Any) -> None:
    entries = {"tools": [{"name": "brew", "class": "plug_tea.Act"}]}
    package: Path = workshop.lay_out("tea", type="tool", entry_points=entries)
    (package / "__init__.py").write_text(TOOL)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", ON_A_LESSER_HOST, workshop.site, str(package / "proxima-plugin.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    tier, ok, *problems = done.stdout.split(maxsplit=2)
    if tier == "B":
        assert (ok, problems) == ("True", [])
    else:  # root, whose workers are another user and may not read this Python
        assert (tier, ok) == ("C", "False")
        assert problems[0].startswith("this host cannot lock a worker, so the plugin is not tried (tier A: namespaces")


IN_A_WORKER = {
    "formats": [{"name": "lines", "class": "plug_tea.Lines"}],
    "visualizations": [{"name": "dot", "class": "plug_tea.Dot"}],
    "codegens": [{"name": "say", "class": "plug_tea.Say"}],
    "algorithms": [{"name": "sweep", "class": "plug_tea.Sweep"}],
    "views": [{"name": "panel", "class": "plug_tea.Panel"}],
    "themes": [{"name": "night", "class": "plug_tea.Night"}],
}
IN_THE_KERNEL = {
    "agents": [{"name": "helper", "class": "plug_tea.Helper"}],
    "llm_providers": [{"name": "model", "class": "plug_tea.Model"}],
    "mcp_servers": [{"name": "files", "class": "plug_tea.Files"}],
    "commands": [{"name": "greet", "class": "plug_tea.Greet"}],
    "screens": [{"name": "window", "class": "plug_tea.Window"}],
    "services": [{"name": "sum", "class": "plug_tea.Serve", "contract": "plug_tea.Adding"}],
}


def test_every_kind_is_looked_at(tried: Try) -> None:
    report = tried(OTHERS.replace("#COLOUR", "#112233"), **IN_A_WORKER, **IN_THE_KERNEL)
    assert errors(report) == []
    assert {p.where.partition(":")[0] for p in report.problems} == set(IN_THE_KERNEL)
    assert len(report.contributions) == len(IN_A_WORKER | IN_THE_KERNEL) == len(KINDS) - 2  # and backends, tools


@pytest.mark.parametrize(
    ("old", "new", "kind", "says"),
    [
        ("return Circuit.builder(2, 2).build()", "return Circuit.builder(3, 2).build()", "formats", "read 3 qubits"),
        (
            "return Circuit",
            "raise __import__('proxima.errors').errors.UsageError('?')\n        Circuit",
            "formats",
            "wrote",
        ),
        ('formats = ("svg",)', "formats = ()", "visualizations", "no picture format"),
        ('return b"<svg/>"', 'return b""', "visualizations", "no bytes"),
        ('return "say()"', 'return " "', "codegens", "no code"),
        ('return {"steps": 3}', "return 3", "algorithms", "expected"),
        ("return Group(())", "return 'Panel'", "views", "expected Group"),
        ("#COLOUR", "blue", "themes", "expected a colour"),
        ("class Night(Theme)", "Night = Theme\nclass Other", "themes", "plug_tea.Night"),
        ("def pursue(self, goal, *, cancel)", "def pursue(self, goal)", "agents", "pursue(goal, *, cancel)"),
        ("messages, tools=()", "messages", "llm_providers", "chat(model, messages, tools=())"),
        ("class Files(MCPServer)", "class Files", "mcp_servers", "is not a MCPServer"),
        ("def create(self, kernel)", "def make(self, kernel)", "screens", "has no method create(kernel)"),
        ("        return left + right", "        return 0\n\n    total = 3", "services", "something else of that name"),
        ("class Serve:", "def Serve():\n    pass\n\nclass Served:", "services", "is not a class"),
    ],
)
def test_each_kind_can_fail(tried: Try, old: str, new: str, kind: str, says: str) -> None:
    assert old in OTHERS
    code = OTHERS.replace(old, new).replace("#COLOUR", "#112233")
    report = tried(code, **IN_A_WORKER, **IN_THE_KERNEL)
    assert says in "\n".join(errors(report))
    assert {problem.where.partition(":")[0] for problem in report.problems if problem.level == "error"} <= {kind, ""}


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise ImportError('no tea')", "no tea"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("plugin = object(", "was never closed"),
        ("import os; os._exit(3)", "ended"),
        ("raise SystemExit(0)", "SystemExit"),
        ("open('/etc/shadow')", "file_read:/etc/shadow"),
        ("import socket; socket.create_connection(('example.org', 443), 5)", "network"),
        ("", "plugin"),
        (TOOL.replace("proxima_tools", "proxima_teas"), "proxima_teas"),
        (TOOL.replace("[Act()]", "[]"), "contributes nothing"),
        (TOOL.replace("[Act()]", "[Act(), type('More', (Act,), {'name': 'more'})()]"), "plug_tea.More named 'more'"),
        (TOOL.replace('    name = "brew"', '    name = "milk"'), "named 'milk'"),
        (TOOL.replace("class Act", "class Other").replace("Act()", "Other()"), "plug_tea.Other"),
    ],
)
def test_finds_what_cannot_be_loaded_or_is_not_what_is_declared(tried: Try, code: str, says: str) -> None:
    report = tried(code)
    assert not report.ok
    assert says in "\n".join([*errors(report), report.traceback])
    assert report.contributions == ()


def test_an_import_that_hangs_is_ended(tried: Try) -> None:
    report = tried("while True: pass", seconds=2)
    assert "took longer than 2 s" in errors(report)[0]
    assert report.seconds < 10


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("def call(self, arguments):", "def callme(self, arguments):", "has no method call(arguments)"),
        ("def call(self, arguments):", "def call(self):", "cannot be called as call(arguments)"),
        ("def call(self, arguments):", "def call(self, args):", "cannot be called as call(arguments)"),
        ("def call(self, arguments):", "def call(self, arguments, more):", "cannot be called as call(arguments)"),
        ("class Plugin", "Act.call = 3\nclass Plugin", "something else of that name"),
        ('"Brews tea"', '""', "no description"),
        ('ToolDefinition("brew"', 'ToolDefinition("milk"', "of 'milk'"),
        ('"object"', "17", "not a JSON Schema"),
        ('return ToolDefinition("brew"', "return {}\n        (0", "expected ToolDefinition, got dict"),
        ('return ToolDefinition("brew"', "raise ValueError('cold')\n        (0", "cold"),
        ('return ToolDefinition("brew"', "import os; os._exit(1)\n        (0", "ended"),
    ],
)
def test_finds_what_does_not_meet_its_contract(tried: Try, old: str, new: str, says: str) -> None:
    assert old in TOOL
    report = tried(TOOL.replace(old, new))
    assert says in "\n".join(errors(report))
    assert report.contributions == ()


def test_finds_a_command_of_the_wrong_shape_and_a_service_without_its_contract(tried: Try) -> None:
    report = tried(
        OTHERS.replace("def run(self, args, kernel)", "def run(self)"),
        modules={"rude.py": "raise SystemExit('no commands today')"},
        commands=[
            {"name": "greet", "class": "plug_tea.Greet"},
            {"name": "gone", "class": "plug_tea.Gone"},
            {"name": "rude", "class": "plug_tea.rude.Greet"},
        ],
        services=[{"name": "sum", "class": "plug_tea.Serve", "contract": "plug_tea.Nothing"}],
    )
    assert [line.partition(" plug_tea")[0] for line in errors(report)] == [
        "commands: greet", "commands: gone", "commands: rude", "services: sum",
    ]  # fmt: skip
    assert report.contributions == ()


def test_a_backend_runs_a_bell_pair(tried: Try) -> None:
    entries = {"backends": [{"name": "coin", "class": "plug_tea.Coin"}]}
    assert tried(BACKEND.replace("OTHER", "11"), **entries).problems == ()


@pytest.mark.parametrize(
    ("old", "new", "level", "says"),
    [
        ("OTHER", "01", "error", "only 00 and 11 can occur"),
        ('Probe("available")', 'Probe("error", "broken", "mend it")', "error", "its probe says: broken"),
        ('Probe("available")', 'Probe("no_device", "none")', "note", "no circuit was run: no_device: none"),
        ("Estimate(True, ", "Estimate(False, 'too large', ", "note", "no circuit was run: too large"),
        ("half = ", "raise OSError('engine')\n        half = ", "error", "engine"),
        ("def plan(self, request)", "def plan(self, requests)", "error", "cannot be called as plan(request)"),
    ],
)
def test_a_backend_that_is_wrong_or_not_available(tried: Try, old: str, new: str, level: str, says: str) -> None:
    code = BACKEND.replace(old, new).replace("OTHER", "11")
    report = tried(code, backends=[{"name": "coin", "class": "plug_tea.Coin"}])
    assert [(p.level, says in p.message) for p in report.problems] == [(level, True)]
    assert report.ok is (level == "note")


def test_a_host_that_cannot_lock_tries_nothing(workshop: Any) -> None:
    package = workshop.lay_out("tea")
    manifest = read_manifest(str(package / "proxima-plugin.json"))
    nothing = HostSupport("C", 0, False, False, ("no Landlock",))
    report = probe(workshop.site, manifest, "plug_tea:plugin", host=nothing)
    assert [problem.code for problem in report.problems] == ["host"]
    assert workshop.imported() == []


def test_a_site_without_the_plugin(workshop: Any, host: HostSupport) -> None:
    package = workshop.lay_out("tea")
    manifest = read_manifest(str(package / "proxima-plugin.json"))
    report = probe(workshop.site, manifest, "elsewhere:plugin", host=host)
    assert "no distribution there" in errors(report)[0]
