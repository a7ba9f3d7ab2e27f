"""A run of a plugin's tests: pytest in a process of its own, the plugin importable, a kit per contribution."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from proxima.errors import UnavailableError
from proxima.plugins.manifest import Manifest, read_manifest
from proxima.plugins.scan import manifest_path, scan
from proxima.sandbox.interfaces import INTERFACES
from proxima_sdk.conformance import KITS
from proxima_sdk.testing.placing import place

Where = Literal["in-process", "sandboxed"]

_NO_TESTS = 5
_SETTINGS = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
"""Where pytest looks for settings, in its order, and what shows that a file has some."""
_OUTPUT = 4000  # characters of pytest's output that a report keeps


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed, with its explanation."""

    test: str
    message: str


@dataclass(frozen=True, slots=True)
class TestRun:
    """What came out.

    Attributes:
        stopped: The end of what pytest said, where it could not run the tests at all.
    """

    __test__ = False

    where: Where
    passed: int
    skipped: int
    seconds: float
    failures: tuple[Failure, ...]
    stopped: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything that ran has passed, and something ran."""
        return not self.failures and not self.stopped and self.passed > 0


@dataclass(frozen=True, slots=True)
class Tested:
    """A plugin that lies ready to be tested.

    Attributes:
        source: Its directory or wheel.
        tests: Where its own tests are; ``None`` where there are none.
    """

    source: Path
    tests: Path | None
    manifest: Manifest
    paths: tuple[str, ...]

    @classmethod
    def of(cls, source: Path, directory: Path) -> Tested:
        """Lays a plugin out in an empty directory.

        Raises:
            UsageError: It is no plugin, or its manifest is wrong.
            UnavailableError: What it depends on is not installed.
        """
        source = source.resolve()
        placed = place(source, directory)
        (found,) = scan([str(directory)])
        with placed.importable():
            path = manifest_path(found)
        assert path is not None
        tests = source / "tests"
        own = tests if source.is_dir() and tests.is_dir() else None
        return cls(source, own, read_manifest(path), placed.paths)

    def unsandboxed(self) -> str:
        """Why it cannot run in a worker; empty where it can."""
        kinds = sorted({c.kind for c in self.manifest.contributions} - set(INTERFACES))
        if kinds:
            return f"it contributes {', '.join(kinds).replace('_', ' ')}, which run in-process only"
        from proxima.sandbox.probe import probe

        host = probe()
        return f"this host cannot hold a worker: {'; '.join(host.reasons)}" if host.tier == "C" else ""

    def run(self, where: Where, arguments: Sequence[str] = (), *, quiet: bool = False) -> TestRun:
        """Runs the plugin's own tests and the kits of its kinds.

        Args:
            where: Where the plugin runs whenever a test uses a kernel.
            arguments: For pytest, e.g. ``("-k", "gate")``.
            quiet: Keeps pytest's output to itself.

        Raises:
            UnavailableError: pytest is not installed.
        """
        with tempfile.TemporaryDirectory(prefix="proxima-kits-") as made:
            kits, report = Path(made, "test_kits.py"), Path(made, "report.xml")
            kits.write_text(kit_source(self.manifest), "utf-8")
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
            command += [f"--junitxml={report}", f"--rootdir={self.source if self.source.is_dir() else made}"]
            if (settings := _settings(self.source)) is not None:
                command.append(f"--config-file={settings}")  # pytest would look above the tests and the kits alike
            if where == "sandboxed":
                command.append(f"--proxima-sandboxed={self.manifest.id}")
            command += [*arguments, *([str(self.tests)] if self.tests else []), str(kits)]
            done = subprocess.run(
                command,
                cwd=self.source if self.source.is_dir() else made,
                env=self._environment(made),
                stdout=subprocess.PIPE if quiet else None,
                stderr=subprocess.STDOUT if quiet else None,
                text=True,
                check=False,
            )
            if not report.exists():
                if done.returncode == 1:
                    raise UnavailableError("pytest is not installed", hint='pip install "proxima-plugin-sdk[tools]"')
                stopped = (done.stdout or "")[-_OUTPUT:] or f"pytest ended with exit code {done.returncode}"
                return TestRun(where, 0, 0, 0.0, (), stopped)
            return _read(report, where, done.returncode)

    def _environment(self, home: str) -> dict[str, str]:
        before = os.environ.get("PYTHONPATH")
        paths = [*self.paths, *([before] if before else [])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PROXIMA_HOME": os.path.join(home, "home")}


def _settings(project: Path) -> Path | None:
    """The project's file with settings for pytest."""
    for name, shown in _SETTINGS.items():
        file = project / name
        if file.is_file() and shown in file.read_text("utf-8", "replace"):
            return file
    return None


def kit_source(manifest: Manifest) -> str:
    """A test module with a class per contribution; where the author's tests have it too, theirs is run."""
    lines = ['"""Made by `proxima plugin test`."""', "", "import proxima_sdk.conformance as kits"]
    for number, contribution in enumerate(manifest.contributions):
        words = "".join(part.capitalize() for part in contribution.name.replace("_", "-").split("-") if part.isalnum())
        lines += [
            "",
            "",
            f"class Test{words}{number}(kits.{KITS[contribution.kind]}):",
            "    generated = True",
            f"    {contribution.kind.removesuffix('s')} = {contribution.name!r}",
        ]
    return "\n".join(lines) + "\n"


def _read(report: Path, where: Where, code: int) -> TestRun:
    """What pytest's JUnit report says."""
    suites = ET.parse(report).getroot().iter("testsuite")
    passed = skipped = 0
    seconds, failures = 0.0, []
    for suite in suites:
        seconds += float(suite.get("time", "0"))
        for case in suite.iter("testcase"):
            wrong = [each for each in case if each.tag in ("failure", "error")]
            failures += [Failure(f"{case.get('classname')}.{case.get('name')}", _text(each)) for each in wrong[:1]]
            skipped += case.find("skipped") is not None
            passed += not wrong and case.find("skipped") is None
    stopped = "" if code in (0, 1, _NO_TESTS) else f"pytest ended with exit code {code}"
    return TestRun(where, passed, skipped, seconds, tuple(failures), stopped)


def _text(failure: ET.Element) -> str:
    return (failure.text or failure.get("message") or "").strip()
