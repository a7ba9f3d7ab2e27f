"""Builds a project's wheel by its own build backend."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from proxima.errors import UnavailableError
from proxima.store.addresses import without_secrets
from proxima.store.errors import StoreError
from proxima.store.job import Job
from proxima.store.resolve.resolver import Index
from proxima.store.tool import beside_python, run_tool

_SHOWN = 2000


def build_wheel(project: str, directory: str, index: Index, job: Job) -> str:
    """Builds a project's wheel through its own build backend, in a process and an environment of their own.

    Args:
        project: The directory with its pyproject.toml.
        directory: Where the wheel goes; an empty one.
        index: Where what the build needs is looked for.
        job: How long it may take.

    Returns:
        The wheel's path.

    Raises:
        StoreError: The build failed; the message has its last words.
        UnavailableError: There is nothing to build with.
        DeadlineExceededError, CancelledError: As the job says.
    """
    if uv := beside_python("uv"):
        command = [uv, "build", "--wheel", "--python", sys.executable, "--out-dir", directory]
    elif find_spec("pip"):
        command = [sys.executable, "-P", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", directory]
    else:
        hint = "Install one beside Proxima, for example: python -m pip install uv"
        raise UnavailableError("a project is built with the help of uv or pip, which are not here", hint=hint)
    code, out, err = run_tool([*command, *index.options(), project], directory, job, f"{project} was built")
    wheels = [name for name in os.listdir(directory) if name.endswith(".whl")]
    if code != 0 or len(wheels) != 1:
        said = without_secrets(f"{out}\n{err}".strip()[-_SHOWN:]) or "nothing was said why"
        raise StoreError(f"{project} could not be built: {said}")
    return os.path.join(directory, wheels[0])
