"""Runs a program that resolves or builds: while it has time and nobody stops it, and none of its processes longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

from proxima.store.job import Job

_TICK = 0.005
_MAX_OUTPUT = 1 << 26


def beside_python(tool: str) -> str:
    """The path of a program that lies beside this interpreter or on `PATH`; empty where there is none."""
    import shutil

    return shutil.which(tool, path=os.path.dirname(sys.executable)) or shutil.which(tool) or ""


def run_tool(
    command: Sequence[str],
    directory: str,
    job: Job,
    doing: str,
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[int, str, str]:
    """Runs a program, and gives its exit status, its output and its errors.

    Args:
        command: The program and its arguments.
        directory: Where it runs.
        job: How long it may take.
        doing: What it does, for the message where it is stopped.
        meanwhile: Called once it runs, before it is waited for.

    Raises:
        CancelledError, DeadlineExceededError: As the job says; the program and those that it started are killed.
    """
    environ = {**os.environ, "NO_COLOR": "1", "PIP_NO_COLOR": "1", "PIP_NO_INPUT": "1"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            meanwhile()
            while process.poll() is None:
                job.check(doing)
                try:
                    process.wait(_TICK)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read(_MAX_OUTPUT).decode(errors="replace"))
        return process.returncode, texts[0], texts[1]
