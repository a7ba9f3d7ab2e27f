"""Looking at a project again whenever it changes: its manifest compiled, the plugin tried in a locked worker."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxima.errors import ProximaError, UsageError
from proxima.plugins.manifest import read_manifest
from proxima.plugins.scan import scan
from proxima.store.probe import probe
from proxima.store.problems import Problem
from proxima_sdk.testing.placing import place
from proxima_sdk.validate.source_uses import undeclared
from proxima_sdk.validate.trial import unlocked

if TYPE_CHECKING:
    from proxima.sandbox.probe import HostSupport

WATCHED = ("plugin.yaml", "pyproject.toml", "src", "tests", "examples")

Snapshot = Mapping[Path, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look showed.

    Attributes:
        plugin: Its id; empty where not even that can be read.
        contributions: Those that the manifest declares and the plugin has, as ``(kind, name)``.
        seconds: How long it took.
        traceback: The plugin's own, where it raised; it names the project's files.
    """

    plugin: str
    problems: tuple[Problem, ...]
    contributions: tuple[tuple[str, str], ...]
    seconds: float
    traceback: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(problem.level == "error" for problem in self.problems)


def look(project: Path, host: HostSupport) -> Look:
    """Compiles the manifest and tries the plugin; whatever is wrong is in what is returned.

    Args:
        project: The directory that holds ``plugin.yaml``.
        host: What this host enforces.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="proxima-dev-") as folder:
        # The name is what tells a worker that plugins are imported from it.
        site = Path(folder, "site-packages")
        site.mkdir()
        try:
            placed = place(project, site)
            source = Path(placed.paths[1], placed.package)
            manifest = read_manifest(str(source / "proxima-plugin.json"))
            # A copy, so that a file saved meanwhile does not change what is being tried.
            shutil.copytree(source, site / placed.package, ignore=shutil.ignore_patterns("__pycache__"))
            (found,) = scan([str(site)])
            report = unlocked(host) or probe(site, manifest, found.target, host=host, environment=True)
            sources = {file.relative_to(site).as_posix(): file.read_bytes() for file in site.rglob("*.py")}
        except (ProximaError, OSError) as error:
            problem = Problem("project", str(error), hint=getattr(error, "hint", None) or "")
            return Look("", (problem,), (), time.perf_counter() - started)
        problems = (*report.problems, *undeclared(sources, manifest.permissions))
        traceback = _own(report.traceback.replace(str(site), placed.paths[1]), source)
        return Look(placed.id, problems, report.contributions, time.perf_counter() - started, traceback)


def _own(traceback: str, source: Path) -> str:
    """The traceback from the plugin's first line on; all of it where none of its lines is in it."""
    lines = traceback.splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith(f'  File "{source}')), 1)
    return "\n".join(lines[:1] + lines[first:])


def changes(project: Path, interval: float) -> Iterator[list[Path]]:
    """The files that were written, added or removed since the last time, once nothing changes any more.

    The first list is empty: it is for the first look.

    Args:
        project: The directory that is watched.
        interval: Seconds between two looks at the files' times.

    Raises:
        UsageError: The project is not there any more.
    """
    seen = snapshot(project)
    yield []
    while True:
        time.sleep(interval)
        now, before = snapshot(project), seen
        while now != before:
            time.sleep(interval)
            now, before = snapshot(project), now
        if now != seen:
            yield sorted(file for file in seen.keys() | now.keys() if seen.get(file) != now.get(file))
            seen = now


def snapshot(project: Path) -> Snapshot:
    """Time and size of every file that is watched; what a look itself writes is left out."""
    if not project.is_dir():
        raise UsageError(f"there is no directory {project}", hint="name the directory that holds plugin.yaml")
    found = {}
    for name in WATCHED:
        top = project / name
        for file in top.rglob("*") if top.is_dir() else [top]:
            if "__pycache__" in file.parts or file.name == "proxima-plugin.json":
                continue
            try:
                state = file.stat()
            except OSError:  # removed meanwhile
                continue
            if not file.is_dir():
                found[file] = (state.st_mtime_ns, state.st_size)
    return found
