"""`proxima plugin validate` and `build`: a right plugin passes, each wrong one is told what is wrong, and where."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from proxima.cli import main
from proxima.errors import ManifestError, UsageError
from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima.sandbox.probe import probe
from proxima.store.problems import Problem, WheelError
from proxima_sdk.build import build_project, built_wheel
from proxima_sdk.validate.report import Report, validate_wheel

CODE = '''
"""Brews."""

from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.hookspecs import hookimpl


class Brew:
    name = "brew"

    def definition(self):
        return ToolDefinition("brew", "Brews tea", {"type": "object"})

    def call(self, arguments):
        return ToolResult("done")


class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Brew()]


plugin = Plugin()
'''

PYPROJECT = """
[project]
name = "proxima-tea"
version = "1.0"
description = "Tea"
readme = "README.md"
license = "MIT"
license-files = ["LICENSE"]
requires-python = ">=3.11"
dependencies = ["proxima-kernel"]

[project.entry-points."proxima.plugins"]
tea = "proxima_tea:plugin"

[build-system]
requires = ["uv_build>=0.11,<0.14"]
build-backend = "uv_build"

[tool.uv.build-backend]
source-include = ["plugin.yaml"]
"""

MANIFEST = {
    "name": "tea",
    "version": "1.0",
    "description": "Brews tea",
    "license": "MIT",
    "python_version": ">=3.11",
    "type": "tool",
    "entry_points": {"tools": [{"name": "brew", "class": "proxima_tea.Brew", "description": "Brews"}]},
}
CAPABILITIES = {
    "methods": ["statevector"],
    "wants": ["counts"],
    "precisions": ["double"],
    "noise": False,
    "dynamic": False,
    "operations": "all",
}
POT = {"name": "pot", "class": "proxima_tea.Brew", "description": "Runs", "capabilities": CAPABILITIES}
INFO = "proxima_tea-1.0.dist-info"
PACKAGED = "proxima_tea/proxima-plugin.json"


def write_project(root: Path) -> Path:
    package = root / "src" / "proxima_tea"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(CODE)
    (package / "CHANGELOG.md").write_text("# Changes\n")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "plugin.yaml").write_text(json.dumps(MANIFEST))  # JSON is YAML
    (root / "LICENSE").write_text("MIT Licence\n")
    (root / "README.md").write_text("# Tea\n\nBrews tea for whoever asks, in any pot, at any hour of the day.\n")
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "tea")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A right wheel, really built."""
    with built_wheel(write_project(tmp_path_factory.mktemp("right") / "tea"), isolated=False) as path:
        yield path


Change = Callable[[dict[str, bytes]], object]


@pytest.fixture
def changed(wheel: Path, tmp_path: Path) -> Callable[..., Report]:
    """Judges the right wheel after a change to its files, with a RECORD that tells of the change."""

    def judge(change: Change, *, try_it: bool = False, name: str = "", **options: Any) -> Report:
        with zipfile.ZipFile(wheel) as old:
            files = {entry: old.read(entry) for entry in old.namelist() if not entry.endswith("/RECORD")}
        change(files)
        rows = [f"{entry},sha256={_digest(content)},{len(content)}" for entry, content in files.items()]
        path = tmp_path / (name or wheel.name)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for entry, content in files.items():
                new.writestr(entry, content)
            new.writestr(f"{INFO}/RECORD", "\n".join([*rows, f"{INFO}/RECORD,,"]))
        return validate_wheel(path, try_it=try_it, **options)

    return judge


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def replacing(entry: str, old: str, new: str) -> Change:
    def change(files: dict[str, bytes]) -> None:
        assert old.encode() in files[entry], f"{old!r} is not in {entry}"
        files[entry] = files[entry].replace(old.encode(), new.encode())

    return change


def adding(entry: str, content: str = "") -> Change:
    return lambda files: files.update({entry: content.encode()})


def compiled(**fields: Any) -> Change:
    """Changes the compiled manifest, as one could by hand."""

    def change(files: dict[str, bytes]) -> None:
        head, _, rest = files[PACKAGED].partition(b"\n")
        files[PACKAGED] = head + b"\n" + json.dumps(json.loads(b"{" + rest) | fields)[1:].encode()

    return change


def found(report: Report, level: str) -> list[Problem]:
    return [problem for problem in report.problems if problem.level == level]


def test_a_right_wheel_has_nothing_to_tell(wheel: Path) -> None:
    report = validate_wheel(wheel)
    assert report.problems == ()
    assert report.ok
    assert (report.name, report.version) == ("proxima-tea", "1.0")
    assert report.contributions == (("tools", "brew"),)
    assert "proxima_tea" not in sys.modules


METADATA = f"{INFO}/METADATA"
LONG = "y " * 200_000


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (replacing(METADATA, "License-Expression: MIT\n", ""), "licence", "no licence is stated"),
        (replacing(METADATA, "Expression: MIT", "Expression: Mine"), "licence", "'Mine' is not an SPDX expression"),
        (replacing(METADATA, "Expression: MIT", "Expression: ISC"), "licence", "is ISC, and in plugin.yaml MIT"),
        (compiled(license="free"), "licence", "'free' is not an SPDX expression"),
        (replacing(METADATA, "Requires-Python: >=3.11\n", ""), "range", "Requires-Python is missing"),
        (compiled(dependencies={"python": ["milk>=1"], "system": []}), "dependency", "never installed"),
        (compiled(colour="green"), "manifest", "there is no such field"),
        (compiled(description=""), "manifest", "description"),
        (adding("tests/__init__.py"), "shadows", "any package could take"),
        (adding("utils.py"), "shadows", "any package could take"),
        (adding("proxima/evil.py"), "shadows", "Proxima or Python has already"),
        (adding("evil.pth", "import os"), "pth", "plugins have no .pth files"),
        (lambda files: files.pop(PACKAGED), "manifest", "not in the wheel"),
        (lambda files: files.pop(f"{INFO}/entry_points.txt"), "no-plugin", "holds no plugin"),
        (lambda files: files.update({METADATA: files[METADATA].partition(b"# Tea")[0]}), "readme", "no description"),
        (replacing(METADATA, "Brews tea for", LONG), "readme", "larger than"),
    ],
)
def test_errors(changed: Callable[..., Report], change: Change, code: str, says: str) -> None:
    report = changed(change)
    assert not report.ok
    assert [p.code for p in found(report, "error")] == [code], report.problems
    assert says in str(found(report, "error")[0])


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda files: files.pop(f"{INFO}/licenses/LICENSE"), "licence-file", "text is not in the wheel"),
        (replacing(METADATA, "License-Expression: MIT", "License: MIT"), "licence", "no License-Expression"),
        (replacing(METADATA, ">=3.11", "<4"), "range", "no lower bound"),
        (compiled(python_version=">=3.12"), "range", "differ, for 3.11 to begin with"),
        (compiled(kernel_api="1-9"), "range", "reaches to 9"),
        (replacing(METADATA, "Requires-Dist: proxima-kernel", "Requires-Dist: numpy"), "dependency", "numpy stands in"),
        (adding("proxima_tea/__pycache__/x.cpython-311.pyc"), "stray", "does not belong"),
        (adding("pytest.py"), "shadows", "also a package of pytest"),
        (adding("proxima_tea/net.py", "\nimport socket\n"), "permission-undeclared", "proxima_tea/net.py:2: socket"),
        (
            compiled(type="backend", entry_points={"backends": [POT]}),
            "permission-undeclared",
            "backend pot is given no circuit",
        ),
        (adding("proxima_tea/old.py", "print 'x'"), "syntax", "cannot be parsed"),
        (replacing(METADATA, "text/markdown", "text/x-rst"), "readme", "not rendered"),
        (replacing(METADATA, "Brews tea for", "![pot](pot.png) [more](docs/more.md)"), "readme", "points to pot.png"),
        (replacing(METADATA, "Brews tea for", "<script>alert(1)</script>"), "readme", "script"),
        (replacing(METADATA, "Brews tea for whoever asks, in any pot, at any hour", "Tea"), "readme", "says nothing"),
    ],
)
def test_warnings(changed: Callable[..., Report], change: Change, code: str, says: str) -> None:
    report = changed(change)
    assert report.ok
    assert code in [p.code for p in found(report, "warning")], report.problems
    assert says in "\n".join(map(str, found(report, "warning")))


@pytest.mark.parametrize("beside", ["", "CHANGELOG.md", f"{INFO}/licenses/more/CHANGELOG.md"])
def test_notes_that_an_update_can_show_no_changes(changed: Callable[..., Report], beside: str) -> None:
    def change(files: dict[str, bytes]) -> None:
        del files["proxima_tea/CHANGELOG.md"]
        if beside:
            files[beside] = b"# Changes"

    assert [(p.code, p.level) for p in changed(change).problems] == [("changelog", "note")]


@pytest.mark.parametrize("place", [f"{INFO}/CHANGELOG.rst", f"{INFO}/licenses/CHANGELOG"])
def test_a_changelog_may_lie_with_the_metadata(changed: Callable[..., Report], place: str) -> None:
    assert changed(lambda files: files.update({place: files.pop("proxima_tea/CHANGELOG.md")})).problems == ()


def test_notes_native_code_that_is_not_read(changed: Callable[..., Report]) -> None:
    report = changed(adding("proxima_tea/fast.so", "\x7fELF"))
    assert [p.code for p in report.problems] == ["native"]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (replacing("proxima_tea/__init__.py", 'name = "brew"', 'name = "cook"'), "named 'cook'"),
        (replacing("proxima_tea/__init__.py", "def call(self, arguments)", "def call(self)"), "call(arguments)"),
        (replacing("proxima_tea/__init__.py", "plugin = Plugin()", "raise KeyError('pot')"), "KeyError: 'pot'"),
    ],
)
def test_a_manifest_that_lies_is_found_by_trying(changed: Callable[..., Report], change: Change, says: str) -> None:
    report = changed(change, try_it=True)
    assert says in "\n".join(map(str, found(report, "error")))
    assert report.contributions == ()


@pytest.mark.parametrize("given", [True, False])
def test_a_host_that_cannot_lock_a_worker_is_no_fault_of_the_wheel(
    wheel: Path, project: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    host = probe()._replace(tier="C", reasons=("no seccomp",))
    monkeypatch.setattr("proxima_sdk.validate.report.probe", lambda: host)
    report = validate_wheel(wheel, host=host if given else None)
    assert report.ok
    assert [(p.code, p.level) for p in report.problems] == [("host", "warning")]
    assert "not tried: this host cannot lock a worker (no seccomp)" in str(report.problems[0])
    assert report.contributions == ()
    assert build_project(project, isolated=False, host=host).wheel.is_file()


def needing(*requirements: str) -> Change:
    lines = "\n".join(["Requires-Dist: proxima-kernel", *(f"Requires-Dist: {each}" for each in requirements)])
    return replacing(METADATA, "Requires-Dist: proxima-kernel", lines)


def importing_milk(files: dict[str, bytes]) -> None:
    needing("milk>=9")(files)
    files["proxima_tea/__init__.py"] = b"import milk\n" + files["proxima_tea/__init__.py"]


@pytest.fixture
def dairy(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel of a user whose index has milk 9, which this environment has not."""
    pages = tmp_path / "index" / "simple" / "milk"
    pages.mkdir(parents=True)
    name, info = "milk-9.0-py3-none-any.whl", "milk-9.0.dist-info"
    files = {
        "milk.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: milk\nVersion: 9.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{entry},sha256={_digest(text.encode())},{len(text)}" for entry, text in files.items()]
    with zipfile.ZipFile(pages / name, "w") as archive:
        for entry, text in {**files, f"{info}/RECORD": "\n".join([*rows, f"{info}/RECORD,,"])}.items():
            archive.writestr(entry, text)
    (pages / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{name}">{name}</a></body></html>')

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            """Says nothing."""

    handler = partial(Quiet, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/simple/"
        with Kernel(paths=Paths.under(str(tmp_path / "home")), flags={"store.index_url": url}) as kernel:
            yield kernel
        server.shutdown()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")
def test_what_is_not_here_is_what_the_store_would_install(changed: Callable[..., Report], dairy: Kernel) -> None:
    told: list[str] = []
    report = changed(importing_milk, try_it=True, store=dairy.store, say=told.append)
    assert report.contributions == (("tools", "brew"),), report.problems
    assert found(report, "error") == []
    assert [(p.code, p.message) for p in found(report, "note")] == [
        ("tried", "with what the store would install beside it: milk 9.0")
    ]
    assert told == ["this environment lacks milk>=9 (not installed): resolving what the store would install"]
    assert sorted(path.name for path in Path(dairy.paths.cache).glob("wheels/*/milk*")) == ["milk-9.0-py3-none-any.whl"]
    assert not Path(dairy.paths.data, "store").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")
def test_what_no_index_has_is_an_error(changed: Callable[..., Report], dairy: Kernel) -> None:
    report = changed(needing("milk>=10"), try_it=True, store=dairy.store)
    assert [p.code for p in found(report, "error")] == ["dependencies"]
    assert "milk" in str(found(report, "error")[0])


@pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")
@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_an_index_that_is_not_reached_is_no_fault_of_the_wheel(
    changed: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolver: str
) -> None:
    for name in ("UV_HTTP_RETRIES", "PIP_RETRIES"):
        monkeypatch.setenv(name, "1")
    flags = {"store.index_url": "http://127.0.0.1:1/simple/", "store.resolver": resolver}
    with Kernel(paths=Paths.under(str(tmp_path / "home")), flags=flags) as kernel:
        report = changed(importing_milk, try_it=True, store=kernel.store)
    assert report.ok
    assert [p.code for p in found(report, "warning")] == ["dependency", "not-tried"]
    assert "not tried: this environment lacks milk>=9" in str(found(report, "warning")[1])


@pytest.mark.timeout(60)  # some renderers take an hour for these
@pytest.mark.parametrize("piece", ["> ", "[", "<!--", "**a", "|a"])
def test_a_hostile_readme_is_rendered_in_time(changed: Callable[..., Report], piece: str) -> None:
    assert changed(replacing(METADATA, "Brews tea for", piece * (100_000 // len(piece)))).ok


def run(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["plugin", *words])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXIMA_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("_home")
def test_the_command_judges_a_project(project: Path) -> None:
    code, out, err = run("validate", str(project), "--no-isolation", "--strict")
    assert (code, out) == (0, "proxima-tea 1.0: 0 errors, 0 warnings\n"), err
    assert not (project / "dist").exists()


@pytest.mark.usefixtures("_home")
def test_the_command_tells_what_is_wrong_in_words_and_in_json(wheel: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "proxima_milk-1.0-py3-none-any.whl"
    wrong.write_bytes(wheel.read_bytes())
    code, out, _ = run("validate", str(wrong), "--no-try")
    assert code == 1
    assert out.startswith("error    identity")
    assert out.endswith("proxima-milk 1.0: 2 errors, 0 warnings\n")
    code, out, _ = run("validate", str(wrong), "--no-try", "--json")
    report = json.loads(out)
    assert (code, report["ok"], report["errors"]) == (1, False, 2)
    assert report["problems"][0]["code"] == "identity"


@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize(
    "content", [b"", b"PK\x05\x06" + bytes(18), os.urandom(4096)], ids=["empty", "no entry", "noise"]
)
def test_the_command_takes_any_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tea-1.0-py3-none-any.whl"
    path.write_bytes(content)
    code, out, _ = run("validate", str(path), "--json")
    assert code == 1
    assert json.loads(out)["errors"] == 1


@pytest.mark.usefixtures("_home")
def test_wrong_usage(tmp_path: Path) -> None:
    assert run("validate", str(tmp_path / "nowhere"))[0] == 2
    assert "there is no pyproject.toml" in run("build", str(tmp_path))[2]
    assert run("validate")[0] == 2


@pytest.mark.usefixtures("_home")
def test_building_twice_gives_the_same_bytes(project: Path, tmp_path: Path) -> None:
    """From another directory, under another umask and with other times of the files."""
    copy = write_project(tmp_path / "elsewhere" / "tea")
    for file in copy.rglob("*"):
        os.utime(file, (1_600_000_000, 1_600_000_000))
    code, out, err = run("build", str(project), "--no-isolation")
    assert code == 0, err
    before = os.umask(0o077)
    try:
        assert run("build", str(copy), "--no-isolation", "--no-try", "--json")[0] == 0
    finally:
        os.umask(before)
    for name in ("proxima_tea-1.0-py3-none-any.whl", "proxima_tea-1.0.tar.gz"):
        assert (project / "dist" / name).read_bytes() == (copy / "dist" / name).read_bytes()
        assert hashlib.sha256((project / "dist" / name).read_bytes()).hexdigest() in out
    assert sorted(path.name for path in (project / "dist").iterdir()) == [
        "proxima_tea-1.0-py3-none-any.whl",
        "proxima_tea-1.0.tar.gz",
    ]
    assert (project / "src/proxima_tea/proxima-plugin.json").exists()


def test_the_time_of_the_files_can_be_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with built_wheel(project, isolated=False) as wheel, zipfile.ZipFile(wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
        assert archive.namelist()[-1] == f"{INFO}/RECORD"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"), built_wheel(project, isolated=False):
        pass


def test_the_time_is_that_of_the_last_commit(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    git = ["git", "-C", str(project), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    when = {"GIT_COMMITTER_DATE": "1650000000 +0000", "GIT_AUTHOR_DATE": "1600000000 +0000"}
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Tea"]):
        subprocess.run([*git, *words], check=True, env=os.environ | when)
    with built_wheel(project, isolated=False) as wheel, zipfile.ZipFile(wheel) as archive:
        assert archive.infolist()[0].date_time == (2022, 4, 15, 5, 20, 0)


def test_a_wheel_with_errors_is_not_put_in_place(project: Path) -> None:
    (project / "README.md").write_text("")
    with pytest.raises(WheelError, match="the wheel has no description"):
        build_project(project, isolated=False, try_it=False)
    assert not (project / "dist").exists()


def test_a_wrong_manifest_is_told_before_anything_is_built(project: Path) -> None:
    (project / "plugin.yaml").write_text(json.dumps(MANIFEST | {"version": "2.0"}))
    with pytest.raises(ManifestError, match=r"2\.0 differs from 1\.0"):
        build_project(project, isolated=False)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('build-backend = "uv_build"', 'build-backend = "nothing_here"', "nothing_here"),
        ('"uv_build>=0.11,<0.14"', '"milk-build>=9"', "the build needs milk-build>=9"),
        ('readme = "README.md"', 'readme = "MISSING.md"', "MISSING.md"),
    ],
)
def test_a_backend_that_fails_says_why(project: Path, old: str, new: str, says: str) -> None:
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UsageError, match=says):
        build_project(project, isolated=False)
    assert not (project / "dist").exists()
