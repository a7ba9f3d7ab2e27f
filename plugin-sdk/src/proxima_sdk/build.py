"""`build_project`: a plugin's wheel and source distribution, through its own build backend."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from build import BuildBackendException, BuildException, ProjectBuilder
from build.env import DefaultIsolatedEnv

from proxima.errors import StorageError, UsageError
from proxima.storage import write_atomic
from proxima.store.problems import WheelError
from proxima_sdk.manifest.compile import compile_manifest
from proxima_sdk.reproducible import rewrite_sdist, rewrite_wheel, source_date
from proxima_sdk.validate.report import Report, validate_wheel

if TYPE_CHECKING:
    from proxima.sandbox.probe import HostSupport
    from proxima.store.install import Store

Distribution = Literal["sdist", "wheel"]
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Built:
    """What was made."""

    wheel: Path
    sdist: Path
    report: Report


def build_project(
    project: Path,
    out: Path | None = None,
    *,
    isolated: bool = True,
    try_it: bool = True,
    host: HostSupport | None = None,
    store: Store | None = None,
    say: Say = lambda line: None,
) -> Built:
    """Compiles the manifest, builds, judges the wheel, and only then puts both files in place.

    The wheel is built from the source distribution, so that whoever has only that can build it too.

    Args:
        project: The directory with ``pyproject.toml`` and ``plugin.yaml``.
        out: Where both files go; ``dist`` in the project by default.
        isolated: Build in an environment of its own with what the project's ``build-system`` requires; else in this.
        try_it: See `validate_wheel`.
        host: Likewise.
        store: Likewise.
        say: Told what is being done.

    Raises:
        ManifestError: ``plugin.yaml`` is wrong.
        UsageError: It is no project, or the backend failed.
        WheelError: The wheel has errors; nothing is put in place.
    """
    epoch, out = source_date(project), out or project / "dist"
    with tempfile.TemporaryDirectory(prefix="proxima-build-") as folder:
        sdist, wheel = _made(project, Path(folder), epoch, isolated, say)
        say(f"judging {wheel.name}")
        report = validate_wheel(wheel, try_it=try_it, host=host, store=store, say=say)
        if not report.ok:
            raise WheelError(wheel.name, [problem for problem in report.problems if problem.level == "error"])
        return Built(_placed(wheel, out), _placed(sdist, out), report)


@contextmanager
def built_wheel(project: Path, *, isolated: bool = True, say: Say = lambda line: None) -> Iterator[Path]:
    """A project's wheel as `build_project` makes it, in a temporary directory.

    Raises:
        ManifestError, UsageError: As `build_project`.
    """
    with tempfile.TemporaryDirectory(prefix="proxima-build-") as folder:
        yield _made(project, Path(folder), source_date(project), isolated, say)[1]


def _made(project: Path, folder: Path, epoch: int, isolated: bool, say: Say) -> tuple[Path, Path]:
    if not (project / "pyproject.toml").is_file():
        raise UsageError(f"{project}: there is no pyproject.toml", hint="name a plugin's project directory, or a wheel")
    _compile(project, say)
    environ = {"SOURCE_DATE_EPOCH": str(epoch)}
    say("building the source distribution")
    with _builder(project, environ, isolated, "sdist") as builder:
        sdist = Path(builder.build("sdist", folder))
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(folder / "source")
    (source,) = (folder / "source").iterdir()
    say("building the wheel from it")
    with _builder(source, environ, isolated, "wheel") as builder:
        wheel = Path(builder.build("wheel", folder))
    rewrite_sdist(sdist, epoch)
    rewrite_wheel(wheel, epoch)
    return sdist, wheel


def _compile(project: Path, say: Say) -> None:
    target, text = compile_manifest(project / "plugin.yaml")
    if not target.is_file() or target.read_bytes() != text.encode():
        write_atomic(str(target), text)
        target.chmod(0o644)
        say(f"compiled plugin.yaml to {target.relative_to(project)}")


@contextmanager
def _builder(project: Path, environ: Mapping[str, str], isolated: bool, kind: Distribution) -> Iterator[ProjectBuilder]:
    """A builder whose requirements are met."""
    # Some backends start a program of theirs, which pip put beside this interpreter.
    programs = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])

    def run(cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
        done = subprocess.run(
            cmd,
            cwd=cwd,
            env={**os.environ, "PATH": programs, **(extra_environ or {}), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, cmd, done.stdout)

    try:
        if not isolated:
            builder = ProjectBuilder(project, runner=run)
            missing = builder.check_dependencies(kind)
            if missing:
                names = ", ".join(" -> ".join(chain) for chain in sorted(missing))
                raise UsageError(f"{project}: the build needs {names}", hint="leave out --no-isolation, or install it")
            yield builder
            return
        with DefaultIsolatedEnv(installer="uv" if importlib.util.find_spec("uv") else "pip") as environment:
            builder = ProjectBuilder.from_isolated_env(environment, project, runner=run)
            environment.install(builder.build_system_requires)
            environment.install(builder.get_requires_for_build(kind))
            yield builder
    except subprocess.CalledProcessError as error:
        hint = "see what it says; --no-isolation builds with what is installed in this environment"
        raise UsageError(f"{project}: what the build needs cannot be installed\n{_said(error)}", hint=hint) from error
    except BuildBackendException as error:
        cause = error.exception
        said = _said(cause) if isinstance(cause, subprocess.CalledProcessError) else str(error)
        hint = "it is the project's own backend that says so: see build-system in pyproject.toml"
        raise UsageError(f"{project}: the build backend failed to make the {kind}\n{said}", hint=hint) from error
    except BuildException as error:
        raise UsageError(f"{project}: {error}", hint="correct pyproject.toml") from error


def _said(error: subprocess.CalledProcessError) -> str:
    """The end of what a failed command printed."""
    said = error.output or error.stderr or b""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return "\n".join(text.strip().splitlines()[-20:])


def _placed(file: Path, out: Path) -> Path:
    """Copies a finished file to where it belongs, whole or not at all."""
    target = out / file.name
    temporary = out / f".{file.name}.tmp"
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, temporary)
        with open(temporary, "rb") as copied:
            os.fsync(copied.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}") from error
    return target
