"""What a user names to install: a distribution of an index, a wheel, a project's directory, or an address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Literal
from urllib.parse import unquote, urlsplit

from proxima.errors import UnavailableError, UsageError
from proxima.store.addresses import check_address, shown, without_secrets
from proxima.store.errors import StoreError
from proxima.store.job import Job

Kind = Literal["index", "wheel", "project", "url"]

_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(\[[A-Za-z0-9._, -]+\])?\s*((?:[=<>!~]=?=?[^;@]*)?)")
_BUILD_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plugin comes from.

    Attributes:
        text: A distribution's name (with extras), an absolute path, or an address.
        specifier: Which versions of a distribution, e.g. ``==1.2``.
    """

    kind: Kind
    text: str
    specifier: str = ""

    def __str__(self) -> str:
        return self.public.text + self.specifier

    @property
    def public(self) -> Source:
        """The same without user name and password, for others to read."""
        return replace(self, text=shown(self.text)) if self.kind == "url" else self


def parse_source(text: str) -> Source:
    """Reads ``NAME``, ``pypi:NAME``, a wheel's path, a directory with a pyproject.toml, or the address of a wheel.

    A bare word is a name, also where a directory is called so: what lies in the current directory must not change
    what is installed.

    Raises:
        UsageError: It is none of these.
    """
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    if "://" in text:
        check_address(text)
        return Source("url", text)
    name = _NAME.fullmatch(text.removeprefix("pypi:"))
    path = os.path.abspath(os.path.expanduser(text))
    if text.endswith(".whl") and os.path.isfile(path):
        return Source("wheel", path)
    if (os.sep in text or text in (".", "..")) and os.path.isfile(os.path.join(path, "pyproject.toml")):
        return Source("project", path)
    if name is None or text.endswith(".whl"):
        what = "there is no such wheel" if text.endswith(".whl") else "no name, wheel, address or directory to build"
        hint = "Name a distribution, a .whl file, an https address, or a directory that holds a pyproject.toml."
        raise UsageError(f"{text}: {what}", hint=hint)
    return Source("index", name.group(1) + (name.group(2) or ""), (name.group(3) or "").strip())


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
