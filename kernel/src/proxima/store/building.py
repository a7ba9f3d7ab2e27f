"""Builds a project's wheel by its own build backend."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec

from proxima.errors import UnavailableError
from proxima.store.addresses import without_secrets
from proxima.store.errors import StoreError
from proxima.store.job import Job

_BUILD_SECONDS = 600.0


def build_wheel(project: str, directory: str, job: Job) -> str:
    """Builds a project's wheel through its own build backend, in a process and an environment of their own.

    Args:
        project: The directory with its pyproject.toml.
        directory: Where the wheel goes.
        job: How long it may take.

    Raises:
        StoreError: The build failed; the message has its last words.
        UnavailableError: There is nothing to build with.
    """
    from proxima.store.resolve.resolver import beside_python

    if uv := beside_python("uv"):
        command = [uv, "build", "--wheel", "--quiet", "--python", sys.executable, "--out-dir", directory, project]
    elif find_spec("pip"):
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", directory, project]
    else:
        hint = "Install one beside Proxima, for example: python -m pip install uv"
        raise UnavailableError("a project is built with the help of uv or pip, which are not here", hint=hint)
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=job.left(_BUILD_SECONDS),
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
        output.seek(0)
        said = without_secrets(output.read(1 << 20).decode(errors="replace").strip()[-2000:])
    wheels = [name for name in os.listdir(directory) if name.endswith(".whl")]
    if code != 0 or len(wheels) != 1:
        raise StoreError(f"{project} could not be built: {said or 'it took too long'}")
    return os.path.join(directory, wheels[0])
