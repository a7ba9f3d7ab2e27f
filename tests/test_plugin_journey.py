"""Each type of plugin from nothing to a user and back: made, built, installed, used, disabled, uninstalled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxima.sandbox.interfaces import INTERFACES
from proxima_sdk.new import TYPES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

BELL = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n'
ANSATZ = "OPENQASM 3.0;\ninput float theta;\nqubit[2] q;\nry(theta) q[0];\ncx q[0], q[1];\n"

# What a user types to use it, and what is to be seen; {id} is the plugin.
USES = {
    "agent": (["use", "agent", "{id}", "help"], ""),
    "algorithm": (["use", "algorithm", "{id}", "ansatz.qasm", "-p", "observable=XX + 0.5*ZI"], "-1.118"),
    "backend": (["run", "bell.qasm", "--backend", "{id}"], "tier "),
    "codegen": (["use", "codegen", "{id}", "bell.qasm"], "cirq"),
    "command": (["{id}", "bell.qasm", "--runs", "3", "--backend", "qsim"], "DEVIATION"),
    "format": (["circuit", "convert", "bell.qasm", "--to", "{id}"], '"'),
    "llm-provider": (["plugin", "config", "{id}"], "url"),
    "mcp-server": (["plugin", "info", "{id}"], "mcp_servers"),
    "screen": (["plugin", "info", "{id}"], "screens"),
    "service": (["plugin", "config", "{id}"], "gate_1q"),
    "theme": (["plugin", "info", "{id}"], "themes"),
    "tool": (["use", "tool", "{id}", f"program={BELL}"], "2"),
    "view": (["use", "view", "{id}"], ""),
    "visualization": (["use", "visualization", "{id}", "bell.qasm", "--result", "-o", "bell.svg"], "wrote bell.svg"),
}


@pytest.mark.parametrize("kind", TYPES)
def test_journey(kind: str, tmp_path: Path) -> None:
    (tmp_path / "bell.qasm").write_text(BELL)
    (tmp_path / "ansatz.qasm").write_text(ANSATZ)
    environ = os.environ | {"PROXIMA_HOME": str(tmp_path / "home")}

    def proxima(*words: str) -> str:
        command = [sys.executable, "-m", "proxima", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    name = f"my-{kind.replace('-', '')[:6]}"
    proxima("plugin", "new", name, "--type", kind, "--author", "Ada Lovelace", "--no-git")
    proxima("plugin", "build", name, "--no-isolation")
    (wheel,) = (tmp_path / name / "dist").glob("*.whl")
    in_worker = f"{kind.replace('-', '_')}s" in INTERFACES
    proxima("plugin", "install", str(wheel), "--yes", *([] if in_worker else ["--trust"]))
    listed = {each["name"]: each for each in json.loads(proxima("plugin", "list", "--json"))}
    assert listed[name]["isolation"].startswith("worker, tier" if in_worker else "in-process")
    words, seen = USES[kind]
    assert seen in proxima(*[word.replace("{id}", name) for word in words])
    proxima("plugin", "disable", name)
    assert "disabled" in proxima("plugin", "info", name)
    proxima("plugin", "uninstall", name)
    assert name not in proxima("plugin", "list")
