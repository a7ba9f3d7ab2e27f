"""`validate_wheel`: everything that is judged about one built wheel, in one report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxima.errors import ManifestError
from proxima.kernel import Kernel
from proxima.plugins.manifest import Manifest
from proxima.sandbox.probe import HostSupport, probe
from proxima.store.probe import ProbeReport
from proxima.store.problems import Problem, WheelError
from proxima.store.wheel import WheelFile
from proxima_sdk.manifest.model import check_manifest
from proxima_sdk.validate.contents import judge_contents
from proxima_sdk.validate.metadata import judge_dependencies, judge_licence, judge_ranges
from proxima_sdk.validate.readme import judge_readme
from proxima_sdk.validate.source_uses import undeclared
from proxima_sdk.validate.trial import try_wheel

if TYPE_CHECKING:
    from proxima.store.install import Store

_COMPILED_ONLY = ("format", "fits", "kinds")


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        wheel: The file.
        name, version: Of the distribution; empty where the file is no wheel at all.
        problems: Errors first, then warnings, then notes.
        contributions: Those that were found to be what the manifest says, as ``(kind, name)``.
        seconds: How long it took.
        traceback: The plugin's own, where it raised when it was tried.
    """

    wheel: str
    name: str
    version: str
    problems: tuple[Problem, ...]
    contributions: tuple[tuple[str, str], ...]
    seconds: float
    traceback: str = ""

    def count(self, level: str) -> int:
        """The number of findings of a level."""
        return sum(problem.level == level for problem in self.problems)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.count("error")

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "wheel": self.wheel,
            "name": self.name,
            "version": self.version,
            "ok": self.ok,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "problems": [problem._asdict() for problem in self.problems],
            "contributions": [{"kind": kind, "name": name} for kind, name in self.contributions],
            "seconds": round(self.seconds, 3),
            "traceback": self.traceback,
        }


def validate_wheel(
    path: str | os.PathLike[str],
    *,
    try_it: bool = True,
    host: HostSupport | None = None,
    store: Store | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Report:
    """Judges a plugin's wheel; nothing of it is imported here.

    Args:
        path: The file.
        try_it: Also load it in a locked worker: with this environment's packages where they are what it depends on,
            else with those that the store would install, which are resolved and fetched.
        host: What this host enforces, where it is known already.
        store: Whose options and cache hold where something is resolved; by default the user's.
        say: Told what takes a while.

    Raises:
        StorageError: The file cannot be read.
    """
    started, path = time.perf_counter(), os.fspath(path)
    trial: ProbeReport | None = None
    name = release = ""
    try:
        with WheelFile.open(path) as wheel:
            name, release = wheel.name, wheel.version
            problems = wheel.problems(contents=True)
            if not wheel.is_plugin:
                hint = 'name the plugin in pyproject.toml: [project.entry-points."proxima.plugins"]'
                problems.append(Problem("no-plugin", "holds no plugin", f"{wheel.info}/entry_points.txt", hint=hint))
            if _sound(problems):
                manifest = wheel.manifest
                assert manifest is not None
                problems += _judged(wheel, manifest)
                if try_it and _sound(problems):
                    trial = try_wheel(wheel, manifest, host or probe(), store or Kernel().store, say)
                    problems += trial.problems
    except WheelError as error:
        problems = list(error.problems)
    order = ("error", "warning", "note")
    return Report(
        wheel=path,
        name=name,
        version=release,
        problems=tuple(sorted(dict.fromkeys(problems), key=lambda problem: order.index(problem.level))),
        contributions=trial.contributions if trial else (),
        seconds=time.perf_counter() - started,
        traceback=trial.traceback if trial else "",
    )


def _sound(problems: list[Problem]) -> bool:
    return not any(problem.level == "error" for problem in problems)


def _judged(wheel: WheelFile, manifest: Manifest) -> Iterator[Problem]:
    yield from _model(manifest, wheel.manifest_entry)
    yield from judge_licence(wheel, manifest)
    yield from judge_ranges(wheel, manifest)
    yield from judge_dependencies(wheel, manifest)
    yield from _idle_backends(manifest, wheel.manifest_entry)
    yield from judge_contents(wheel, os.path.getsize(wheel.path))
    yield from judge_readme(wheel.metadata)
    sources = {name: wheel.archive.read(name) for name in wheel.archive.files if name.endswith(".py")}
    yield from undeclared(sources, manifest.permissions)


def _idle_backends(manifest: Manifest, where: str) -> Iterator[Problem]:
    """Backends that Proxima gives nothing to run."""
    if "execute_circuits" not in manifest.permissions:
        for name in (each.name for each in manifest.contributions if each.kind == "backends"):
            message = f"backend {name} is given no circuit to run: execute_circuits is not declared"
            hint = "declare execute_circuits under permissions in plugin.yaml"
            yield Problem("permission-undeclared", message, where, "warning", hint)


def _model(manifest: Manifest, where: str) -> Iterator[Problem]:
    """The rules for authors, which the kernel leaves out at run time, held against the compiled manifest."""
    written = {key: value for key, value in manifest.raw.items() if key not in _COMPILED_ONLY}
    try:
        check_manifest(written, source=where)
    except ManifestError as error:
        for line in str(error).splitlines():
            yield Problem(
                "manifest", line.removeprefix(f"{where}: "), where, hint="correct plugin.yaml and build again"
            )
