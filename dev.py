"""The workspace's tasks: `python3 dev.py help` lists them. Standard library only, so it runs on a bare Python.

Each task first makes `.venv` from requirements.lock with the workspace's packages as editables. A stamp records
what the environment was made from, so that a second run starts at once and an unfinished one is made again.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the reader may have an older one
    sys.exit(f"Proxima needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: python3.11 dev.py help")

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / "bin" / "python")
STAMP = VENV / "proxima-stamp"
LOCK = ROOT / "requirements.lock"
WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["workspace"]
MEMBERS = sorted(file.parent for name in WORKSPACE["members"] for file in ROOT.glob(f"{name}/pyproject.toml"))
COMPILER = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")))), None)
GPU_EXTRAS = {"cu13"}  # engines of about a gigabyte for machines with a GPU; the workspace does without them

NETWORK = (
    "The first run downloads packages. Behind a proxy set HTTPS_PROXY; for a mirror set PIP_INDEX_URL and "
    "UV_DEFAULT_INDEX. Then run the same command again."
)


class Failure(Exception):
    """A step that failed: the message says which, and what to do."""


def step(what: str, command: list[str], hint: str, **env: str) -> None:
    """Run one step, or say what to do where it fails."""
    print(f"-- {what}", file=sys.stderr, flush=True)
    if subprocess.run(command, env=os.environ | env, stdin=subprocess.DEVNULL).returncode:
        raise Failure(f"{what} failed: {shlex.join(command)}\n{hint}")


def module(*arguments: str) -> NoReturn:
    """Become `python -m ...` of the environment, so that its output, exit status and Ctrl-C are its own."""
    become("-m", *arguments)


def become(*arguments: str) -> NoReturn:
    """Become the environment's Python."""
    os.execv(PYTHON, [PYTHON, *arguments])


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one bootstrap work on `.venv` at a time (`make -j`, two terminals)."""
    with Path(__file__).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def host() -> str:
    """What makes an environment unusable when it changes: the interpreter, and the place (scripts hold paths)."""
    return f"{sys.version.split()[0]} {ROOT}"


def buildable() -> list[Path]:
    """The members that can be installed here: without a C++ compiler, none that is native or depends on one that is."""
    if COMPILER:
        return MEMBERS
    tables = {member: tomllib.loads((member / "pyproject.toml").read_text("utf-8")) for member in MEMBERS}
    native = {
        table["project"]["name"]
        for table in tables.values()
        if "scikit_build" in table["build-system"]["build-backend"]
    }
    out = [m for m, t in tables.items() if native & {t["project"]["name"], *t["project"].get("dependencies", ())}]
    names = ", ".join(member.name for member in out)
    print(f"-- no C++ compiler (c++, g++, clang++ or $CXX) is here, so these are left out: {names}", file=sys.stderr)
    return [member for member in MEMBERS if member not in out]


def inputs() -> str:
    """A hash over everything the environment is made from."""
    files = [LOCK, Path(__file__), ROOT / "pyproject.toml", *(member / "pyproject.toml" for member in MEMBERS)]
    native = sorted(file for member in MEMBERS for file in (*member.glob("CMakeLists.txt"), *member.glob("cpp/*")))
    content = [str(COMPILER).encode(), *(file.read_bytes() for file in (*files, *native))]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


def usable() -> bool:
    """Whether `.venv` was finished once, for this host, and its interpreter still starts and finds the kernel."""
    try:
        if STAMP.read_text("utf-8").partition("\n")[0] != host():
            return False
        probe = "import importlib.util as u, sys; sys.exit(u.find_spec('proxima') is None or u.find_spec('uv') is None)"
        return subprocess.run([PYTHON, "-c", probe], capture_output=True).returncode == 0
    except OSError:
        return False


def locked(name: str) -> str:
    """The lines of requirements.lock that pin one distribution, with its hashes."""
    lines = LOCK.read_text("utf-8").splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.startswith(f"{name}==")), None)
    if start is None:
        raise Failure(f"requirements.lock does not pin {name}\nMake it anew: python3 dev.py lock")
    end = next(number for number in range(start, len(lines)) if not lines[number].rstrip().endswith("\\"))
    return "".join(lines[start : end + 1])


def bootstrap() -> None:
    """Make `.venv` what the lock and the packages' pyproject.toml say, or do nothing where it is."""
    wanted = f"{host()}\n{inputs()}\n"
    with one_at_a_time():
        sound = usable()
        if sound and STAMP.read_text("utf-8") == wanted:
            return
        if not sound:
            make_venv()
        STAMP.unlink(missing_ok=True)  # until the end, this environment counts as unfinished
        uv_pip = [PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON]
        step(
            "install the locked packages; the first time they are downloaded",
            [*uv_pip, "--only-binary", ":all:", "--require-hashes", "--requirements", str(LOCK)],
            NETWORK,
        )
        members = buildable()
        editables = [part for member in members for part in ("--editable", str(member))]
        step(
            f"install the workspace's {len(members)} packages as editables",
            [*uv_pip, "--no-deps", "--no-build-isolation", *editables],
            "The lines above name the package whose pyproject.toml or source folder is wrong.",
        )
        STAMP.write_text(wanted, "utf-8")


def make_venv() -> None:
    """Make `.venv` anew, with the locked uv in it."""
    if Path(sys.prefix) == VENV:
        raise Failure("this runs on .venv's own Python, and .venv has to be made anew\nRun it with: python3 dev.py")
    shutil.rmtree(VENV, ignore_errors=True)
    step(
        f"make .venv with Python {sys.version.split()[0]}",
        [sys.executable, "-m", "venv", str(VENV)],
        "On Debian and Ubuntu the module is a package of its own: apt install python3-venv",
    )
    with tempfile.TemporaryDirectory() as folder:
        pin = Path(folder) / "uv.txt"
        pin.write_text(locked("uv"), "utf-8")
        pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        step("install uv", [*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", str(pin)], NETWORK)


def demo(*extra: str) -> int:
    """Run the circuits of examples/ and compare one across the backends."""
    bootstrap()
    become("examples/demo.py", *extra)


def test(*extra: str) -> int:
    """Run the tests; what follows `--` goes to pytest."""
    bootstrap()
    cores = str(min(os.cpu_count() or 1, 4))
    module("pytest", "-q", *(extra or ("--numprocesses", cores, "--dist", "loadfile")))


def escape(*extra: str) -> int:
    """Try every known way out of the sandbox, at each tier and as each user."""
    bootstrap()
    module("pytest", "-q", "tests/escape", *extra)


def fuzz(*extra: str) -> int:
    """Feed a million hostile inputs to the decoders, the permission grammar and the policies."""
    bootstrap()
    os.environ.setdefault("PROXIMA_FUZZ_INPUTS", "1000000")
    module("pytest", "-q", "-s", "--timeout=0", "tests/fuzz", *extra)


def bench(*extra: str) -> int:
    """Run the benchmarks; each prints its number."""
    bootstrap()
    module("pytest", "-q", "-s", "-o", "python_files=bench_*.py", "tests/benchmarks", *extra)


def sanitize(*extra: str) -> int:
    """Run the native tests with the address and undefined-behaviour sanitizers (GCC)."""
    bootstrap()
    if COMPILER is None:
        raise Failure("there is no C++ compiler, so nothing native to test\nInstall one, or set CXX")
    package = ROOT / "plugins-core" / "lret-core"
    runtime = [
        subprocess.check_output([COMPILER, f"-print-file-name=lib{name}.so"], text=True).strip()
        for name in ("asan", "ubsan")
    ]
    with tempfile.TemporaryDirectory() as folder:
        step(
            "build lret-core with sanitizers",
            [
                PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON, "--target", folder,
                "--no-deps", "--no-build-isolation", "--config-setting=cmake.define.PROXIMA_SANITIZE=ON",
                f"--config-setting=build-dir={folder}/build", str(package),
            ],
            "The sanitizers come with GCC; elsewhere set CXX to one.",
        )  # fmt: skip
        # An editable install is found before any path, so the path finder is put before it.
        start = (
            "import importlib.machinery, sys; sys.meta_path.insert(0, importlib.machinery.PathFinder)\n"
            "import proxima_lret_core, pytest; assert proxima_lret_core.__file__.startswith(sys.argv[1])\n"
            "sys.exit(pytest.main(sys.argv[2:]))"
        )
        tests = [PYTHON, "-c", start, folder, "-q", str(package / "tests"), *extra]
        preload = {"LD_PRELOAD": " ".join(runtime), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": folder}
        return subprocess.run(tests, env=os.environ | preload).returncode


def check() -> int:
    """Lint, formatting, types, layering, and whether compiled manifests match their plugin.yaml."""
    bootstrap()
    checks = [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("pytest", "-q", "tests/test_layering.py", "tests/test_repository.py"),
        ("proxima_sdk.manifest.compile", "--check", *plugin_manifests()),
    ]
    failed = []
    for command in checks:
        print(f"-- {shlex.join(command)}", flush=True)
        if subprocess.call([PYTHON, "-m", *command]):
            failed.append(command[0])
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def manifests() -> int:
    """Compile every plugin.yaml to its proxima-plugin.json, and write the reference pages that repeat the code."""
    bootstrap()
    subprocess.check_call([PYTHON, "docs/generate.py"])
    module("proxima_sdk.manifest.compile", *plugin_manifests())


def plugin_manifests() -> list[str]:
    """Every plugin.yaml, relative to the root."""
    paths = [*ROOT.glob("plugins-core/*/plugin.yaml"), *ROOT.glob("examples/plugins/*/plugin.yaml")]
    return [str(path.relative_to(ROOT)) for path in sorted(paths)]


def docs(*extra: str) -> int:
    """Build the documentation into site/; a broken link is an error."""
    bootstrap()
    module("mkdocs", "build", "--strict", "--quiet", *extra)


def lock(*extra: str) -> int:
    """Resolve requirements.lock anew; `-- --upgrade` takes newer versions."""
    if not usable():
        make_venv()
    uv = [PYTHON, "-m", "uv", "pip", "compile", "--quiet"]
    projects = [tomllib.loads((member / "pyproject.toml").read_text("utf-8"))["project"] for member in MEMBERS]
    own = [project["name"] for project in projects]
    extras = {extra for project in projects for extra in project.get("optional-dependencies", {})} - GPU_EXTRAS
    step(
        "resolve",
        [
            *uv, "--universal", "--generate-hashes", "--python-version", "3.11", "--group", "dev",
            "--custom-compile-command", "python3 dev.py lock", "--output-file", LOCK.name,
            *(f"--extra={extra}" for extra in sorted(extras)),
            *(f"--no-emit-package={name}" for name in own),
            *(str((member / "pyproject.toml").relative_to(ROOT)) for member in MEMBERS), *extra,
        ],
        NETWORK,
    )  # fmt: skip
    # The bootstrap installs wheels only, so each platform must find one of every package.
    for platform in ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "x86_64-apple-darwin", "aarch64-apple-darwin"):
        for python in ("3.11", "3.14"):
            step(
                f"wheels for {platform}, Python {python}",
                [
                    *uv, "--no-deps", "--only-binary", ":all:", "--python-platform", platform,
                    "--python-version", python, "--output-file", os.devnull, LOCK.name,
                ],
                "Take another version, or leave it out there: override-dependencies in pyproject.toml.",
                MACOSX_DEPLOYMENT_TARGET="15.0",
            )  # fmt: skip
    return 0


TASKS: dict[str, Callable[..., int]] = {
    task.__name__: task for task in (demo, test, escape, fuzz, bench, sanitize, check, docs, lock, manifests)
}


def usage() -> str:
    """What `help` prints."""
    lines = ["usage: python3 dev.py TASK [-- ARGUMENTS]", ""]
    lines += [f"  {name:<10} {(task.__doc__ or '').splitlines()[0]}" for name, task in TASKS.items()]
    return "\n".join([*lines, f"  {'help':<10} Show this."])


def main(arguments: list[str]) -> int:
    """Run the task that the arguments name."""
    name, extra = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if name in ("help", "-h", "--help"):
        print(usage())
        return 0
    extra = extra[1:] if extra[:1] == ["--"] else extra
    wrong = f"there is no task {name!r}" if name not in TASKS else ""
    if extra and name in ("check", "manifests"):
        wrong = f"{name} takes no arguments"
    if wrong:
        print(f"dev.py: {wrong}\n\n{usage()}", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    try:
        return TASKS[name](*extra)
    except Failure as failure:
        print(f"\ndev.py: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
