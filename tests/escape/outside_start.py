"""What runs before the lock, and in whose place. Judged outside the worker."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from outside import Stopped, through, tried


def import_time_code(arena: Any) -> str:
    body = f"try: stolen = open({arena.host.key!r}).read()\nexcept OSError as error: stolen = ''\n"
    arena.plugin("early", body + "def act(arguments): return stolen")
    if stolen := arena.call("early"):
        return str(stolen)
    raise Stopped("it was imported after the lock")


def control_import_time_code(arena: Any) -> str:
    path = Path(arena.host.workspace) / "early.py"
    path.write_text(f"stolen = open({arena.host.key!r}).read()\n")
    sys.path.insert(0, str(path.parent))
    import early

    return str(early.stolen)


_THREAD = """
import json, os, sys, threading
sys.path[:0] = json.loads(sys.argv[2])
from proxima.sandbox.errors import LockError
from proxima.sandbox.linux import landlock
from proxima.sandbox.linux.lock import lock
from proxima.sandbox.linux.script import Script
from proxima.sandbox.policy import SandboxPolicy, runtime_paths
key, how, scratch = sys.argv[1], sys.argv[3], sys.argv[4]
go, got = threading.Event(), []
def steal():
    go.wait()
    try: got.append(open(key).read())
    except OSError as error: got.append("")
thread = threading.Thread(target=steal, daemon=True)
thread.start()
try:
    if how == "landlock alone":
        script = Script(None, (0, 1, 2))
        script.close_all_but((0, 1, 2))
        script.call("prctl", 38, 1, 0, 0, 0)
        landlock.restrict(script, {}, version=landlock.abi())
        script.run()
    else:
        parent = os.getppid()
        lock(SandboxPolicy(plugin="x", tier=how, scratch=scratch, read=runtime_paths()), [1, 2], parent_pid=parent)
except LockError as error:
    print("refused", error.step)
    os._exit(0)
go.set()
thread.join()
print("stolen" if got[0] else "nothing")
"""


def _thread(arena: Any, how: str) -> str:
    paths = json.dumps([each for each in sys.path if each])
    words = [sys.executable, "-c", _THREAD, arena.host.key, paths, how, arena.host.scratch]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    return done.stdout.strip() or done.stderr


def thread_before_the_lock(arena: Any) -> str:
    said = _thread(arena, arena.tier)
    if said == "refused single thread":
        raise Stopped(said)
    return said


def control_thread_before_the_lock(arena: Any) -> str:
    said = _thread(arena, "landlock alone")
    if said != "stolen":
        raise Stopped(said)
    return said


def _lay_traps(arena: Any) -> tuple[Path, dict[str, str]]:
    traps, marks = arena.root / "traps", arena.root / "marks"
    traps.mkdir()
    marks.mkdir()
    mark = "import os, sys; open({!r} + '/' + {!r} + '-' + str(os.getppid()), 'w').close()\n"
    for name in ("sitecustomize", "usercustomize", "numpy", "msgpack", "encodings_x"):
        (traps / f"{name}.py").write_text(mark.format(str(marks), name))
    (traps / "trap.pth").write_text(mark.format(str(marks), "pth"))
    environment = {"PYTHONPATH": str(traps), "PYTHONSTARTUP": str(traps / "numpy.py"), "PYTHONINSPECT": "",
                   "PYTHONUSERBASE": str(traps), "LD_PRELOAD": "", "LD_LIBRARY_PATH": str(traps)}  # fmt: skip
    return marks, environment


def startup_files_and_variables(arena: Any) -> list[str]:
    marks, environment = _lay_traps(arena)
    before, cwd = dict(os.environ), os.getcwd()
    os.environ.update(environment)
    os.chdir(arena.root / "traps")
    try:
        before_it = arena.supervisor.zygote.pid
        arena.supervisor.zygote._discard()  # the next worker starts a new one, in this environment
        arena.end("other")
        arena.call("other")
        tried(arena.supervisor.zygote.pid != before_it, "the zygote did not start anew")
        worker = arena.supervisor.running("other")
        arena.host.other_scratch, arena.host.other_pid = worker.policy.scratch, worker.pid
    finally:
        os.environ.clear()
        os.environ.update(before)
        os.chdir(cwd)
    if ran := [each.name for each in marks.iterdir()]:
        return ran
    raise Stopped("none of them ran")


def control_startup_files_and_variables(arena: Any) -> str:
    marks, environment = _lay_traps(arena)
    os.chdir(arena.root / "traps")
    subprocess.run([sys.executable, "-c", "import numpy"], env={**os.environ, **environment}, timeout=30)
    ran = [each.name for each in marks.iterdir()]
    return through(ran, str(ran))


HOST_PACKAGES = ("numpy", "msgpack", "proxima_sdk")


def plugin_in_a_host_packages_place(arena: Any) -> str:
    """Packages named as those that a worker has from the host, in the plugin's own directory."""
    laid = [_evil_package(arena, name) for name in HOST_PACKAGES]
    body = (
        f"import importlib\nfound = [importlib.import_module(name).__file__ for name in {HOST_PACKAGES}]\n"
        "def act(arguments): return json.dumps(found)"
    )
    try:
        arena.plugin("shadow", body)
        files = json.loads(arena.call("shadow"))
    finally:
        for package in laid:
            shutil.rmtree(package)
    if shadowed := [file for file in files if file.startswith(arena.host.plugin)]:
        return str(shadowed)
    raise Stopped(f"the host's packages go first: {files}")


def control_plugin_in_a_host_packages_place(arena: Any) -> str:
    for name in HOST_PACKAGES:
        _evil_package(arena, name)
    words = [
        sys.executable,
        "-c",
        f"import {', '.join(HOST_PACKAGES)}; print(*({', '.join(HOST_PACKAGES)}), sep='\\n')",
    ]
    path = os.pathsep.join([arena.host.plugin, *filter(None, sys.path)])
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    return through(done.stdout.count(arena.host.plugin) == len(HOST_PACKAGES), done.stdout)


def _evil_package(arena: Any, name: str) -> Path:
    package = Path(arena.host.plugin) / name
    package.mkdir()
    package.chmod(0o755)
    (package / "__init__.py").write_text("")
    return package


_BACKEND = """
open({mark!r}, "w").close()
def build_wheel(directory, config_settings=None, metadata_directory=None):
    raise SystemExit("it ran")
"""


def _source_distribution(arena: Any) -> tuple[Path, Path]:
    """One whose build leaves a mark, in a directory of an index; and the mark."""
    shelf, mark = arena.root / "index" / "simple" / "sourced", arena.root / "built"
    shelf.mkdir(parents=True)
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: sourced\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": _BACKEND.format(mark=str(mark)),
    }
    with tarfile.open(shelf / "sourced-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"sourced-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return shelf / "sourced-1.0.tar.gz", mark


def source_distribution_at_installation(arena: Any) -> str:
    """A plugin that an index has as source alone: to build it would run its code, in no worker."""
    from proxima.errors import ProximaError
    from proxima.kernel import Kernel
    from proxima.paths import Paths

    archive, mark = _source_distribution(arena)
    asked: list[str] = []

    class Pages(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    index = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(arena.root / "index")))
    thread = threading.Thread(target=index.serve_forever, args=(0.02,))
    thread.start()
    before = dict(os.environ)
    os.environ.update(_without_the_users_settings(arena))
    said = []
    try:
        flags = {"store.index_url": f"http://127.0.0.1:{index.server_address[1]}/simple/"}
        with Kernel(paths=Paths.under(f"{arena.base}/installing"), flags=flags) as kernel:
            for source in ("sourced", str(archive)):
                try:
                    kernel.store.install(source)
                except ProximaError as error:
                    said.append(str(error))
    finally:
        os.environ.clear()
        os.environ.update(before)
        index.shutdown()
        index.server_close()
        thread.join()
    tried("/simple/sourced/" in asked and len(said) == 2, f"{asked} {said}")
    return through(mark.exists(), f"it was built; {said}")


def control_source_distribution_at_installation(arena: Any) -> str:
    """What an installer does that builds what it finds."""
    archive, mark = _source_distribution(arena)
    words = [sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-index", "--python", sys.executable]
    words += ["--target", f"{arena.base}/target", "--find-links", str(archive.parent), "sourced"]
    environment = os.environ | _without_the_users_settings(arena)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)
    return through(mark.exists(), f"it was built; {done.stderr[-200:]}")


def _without_the_users_settings(arena: Any) -> dict[str, str]:
    own = {"HOME": arena.base, "UV_CACHE_DIR": f"{arena.base}/uv", "UV_NO_CONFIG": "1", "PIP_CONFIG_FILE": os.devnull}
    return own | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
