"""The sandbox's example: a plugin from a real wheel reaches the one port that it was granted, and nothing else."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_the_example_reaches_what_was_granted_and_nothing_else(tmp_path: Path) -> None:
    examples = shutil.copytree(EXAMPLES, tmp_path / "examples")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for path in (examples / "plugins" / "lab-queue").rglob("*"):
        if path.suffix in (".py", ".yaml", ".json"):
            path.write_text(path.read_text("utf-8").replace("8765", str(port)), "utf-8")
    done = subprocess.run([sys.executable, examples / "sandbox.py"], capture_output=True, text=True, timeout=120)
    if done.returncode == 3:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stderr
    asked = re.findall(r"^(reached|refused)  ([^:]+): (\S+)\n +(.*)", done.stdout, re.MULTILINE)
    assert [what for outcome, what, _, _ in asked if outcome == "reached"] == ["what was granted"], done.stdout
    refusals = {what: text for outcome, what, _, text in asked if outcome == "refused"}
    assert len(refusals) == 8, done.stdout
    (other,) = {int(number) for number in re.findall(r"http://localhost:(\d+)", done.stdout)} - {port}
    for what in ("another port", "a redirect"):
        assert f"lab-queue may not use network:localhost:{other}" in refusals[what]
    for what in ("another name", "a redirect to a number"):
        assert f"lab-queue may not use network:127.0.0.1:{port}" in refusals[what]
    for what in ("another spelling", "IPv6"):
        assert "is not a host name" in refusals[what]
    assert "lab-queue may not use network:example.org:80" in refusals["another computer"]
    assert "the name leads to 127.0.0.1" in refusals["a name that was granted and now leads here"]
    assert f"Requests that arrived: 3 at port {port}, 0 elsewhere." in done.stdout
    assert "The plugin ran so: worker, tier " in done.stdout
