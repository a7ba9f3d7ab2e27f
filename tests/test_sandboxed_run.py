"""A run on a backend in a worker tells so wherever it is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

BELL = Path(__file__).parent.parent / "examples" / "bell.qasm"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PROXIMA_")}
    return kept | {"PROXIMA_HOME": str(tmp_path), "COLUMNS": "200"}


def proxima(environ: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "proxima", *words]
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tier_of_a_run_is_in_its_output_and_its_record(environ: dict[str, str]) -> None:
    run = ("run", str(BELL), "--backend", "qsim", "--shots", "10")
    worker = ("--set", "isolation.backend-qsim=worker")
    (listed,) = [
        each
        for each in json.loads(proxima(environ, *worker, "plugin", "list", "--json"))
        if each["name"] == "backend-qsim"
    ]
    tier = listed["tier"]
    assert tier in ("A", "B")
    result = json.loads(proxima(environ, *worker, *run, "--json"))
    assert result["tier"] == tier
    record = json.loads(proxima(environ, "results", "show", result["id"], "--json"))
    assert record["tier"] == tier
    assert f"in a worker at tier {tier}" in proxima(environ, "results", "show", result["id"])
    assert f"in a worker at tier {tier}" in proxima(environ, *worker, *run)

    result = json.loads(proxima(environ, *run, "--json"))
    assert result["tier"] is None
    assert "worker" not in proxima(environ, *run) + proxima(environ, "results", "show", result["id"])
