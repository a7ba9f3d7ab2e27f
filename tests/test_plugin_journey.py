"""Each type of plugin from nothing to a user and back: made, tested, built, judged, installed, used, uninstalled."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from textwrap import indent

import pytest

from proxima.sandbox.interfaces import INTERFACES
from proxima_sdk.new import TYPES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

BELL = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n'
ANSATZ = "OPENQASM 3.0;\ninput float theta;\nqubit[2] q;\nry(theta) q[0];\ncx q[0], q[1];\n"

# What a user types to use it, or what a program of theirs says, and what is to be seen; {id} is the plugin.
USES: dict[str, tuple[list[str] | str, str]] = {
    "agent": (["use", "agent", "{id}", "How many qubits fit into 8 GiB?"], "of 29 qubits fits"),
    "algorithm": (["use", "algorithm", "{id}", "ansatz.qasm", "-p", "observable=XX + 0.5*ZI"], "-1.118"),
    "backend": (["run", "bell.qasm", "--backend", "{id}"], "tier "),
    "codegen": (["use", "codegen", "{id}", "bell.qasm"], "cirq"),
    "command": (["{id}", "bell.qasm", "--runs", "3", "--backend", "qsim"], "DEVIATION"),
    "format": (["circuit", "convert", "bell.qasm", "--to", "{id}"], '"'),
    "llm-provider": (["use", "llm", "{id}", "one two three"], "one two three"),
    "mcp-server": (
        """
import json, subprocess
arguments = {"a": {"0": 3}, "b": {"1": 8}}
call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "distance", "arguments": arguments}}
server = px.get("mcp_servers", "{id}")
print(subprocess.run(server.command, input=json.dumps(call) + "\\n", capture_output=True, text=True).stdout)
""",
        '{"distance": 1.0}',
    ),
    "screen": (
        """
import sys
screen = px.get("screens", "{id}")
print(screen.title, sys.modules[type(screen).__module__].rows(px))
""",
        "('qsim', 'backend-qsim', ",
    ),
    "service": (
        """
from proxima import Circuit
service = px.get("services", "{id}")
print(px.services.require(service.contract).seconds(Circuit.builder(1).h(0).build()))
""",
        "3.5e-08",
    ),
    "theme": ('print(px.get("themes", "{id}").colours["background"])', "#"),
    "tool": (["use", "tool", "{id}", f"program={BELL}"], "2 qubits, depth 3"),
    "view": (["use", "view", "{id}", "compare", "qubits=2", "shots=100", "backends=qsim,stim"], "Verdict: agree"),
    "visualization": (["use", "visualization", "{id}", "bell.qasm", "--result", "-o", "bell.svg"], "wrote bell.svg"),
}


PROGRAM = "import proxima\nwith proxima.open() as px:\n"


@pytest.mark.parametrize("kind", TYPES)
def test_journey(kind: str, tmp_path: Path) -> None:
    (tmp_path / "bell.qasm").write_text(BELL)
    (tmp_path / "ansatz.qasm").write_text(ANSATZ)
    environ = os.environ | {"PROXIMA_HOME": str(tmp_path / "home")}

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def proxima(*words: str) -> str:
        return python("-m", "proxima", *words)

    name = f"my-{kind.replace('-', '')[:6]}"
    proxima("plugin", "new", name, "--type", kind, "--author", "Ada Lovelace", "--no-git")
    in_worker = f"{kind.replace('-', '_')}s" in INTERFACES
    assert ", 0 failed" in proxima("plugin", "test", name, "--sandboxed" if in_worker else "--in-process")
    proxima("plugin", "build", name, "--no-isolation")
    (wheel,) = (tmp_path / name / "dist").glob("*.whl")
    assert "0 errors, 0 warnings" in proxima("plugin", "validate", str(wheel), "--strict")
    proxima("plugin", "install", str(wheel), "--yes", *([] if in_worker else ["--trust"]))
    listed = {each["name"]: each for each in json.loads(proxima("plugin", "list", "--json"))}
    assert listed[name]["isolation"].startswith("worker, tier" if in_worker else "in-process")
    used, seen = USES[kind]
    with ExitStack() as stack:
        if kind == "llm-provider":
            loopback = runpy.run_path(str(tmp_path / name / "tests" / "loopback.py"))
            proxima("plugin", "config", name, "url", stack.enter_context(loopback["serving"]()))
            proxima("plugin", "config", name, "key_variable", "LLM_KEY")
            environ["LLM_KEY"] = loopback["KEY"]
        if isinstance(used, list):
            told = proxima(*[word.replace("{id}", name) for word in used])
        else:
            told = python("-c", PROGRAM + indent(used.replace("{id}", name), "    "))
    assert seen in told
    proxima("plugin", "disable", name)
    assert "disabled" in proxima("plugin", "info", name)
    proxima("plugin", "uninstall", name)
    assert name not in proxima("plugin", "list")
