"""What the other files of attempts do not try, judged outside the worker: what the kernel does with what it is told."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from typing import Any

from attempts_kernel import Stopped

_BACKEND = """
import time
from proxima.contracts.backend import Backend, Estimate, Plan, Probe
from proxima.contracts.result import RunResult
from proxima.hookspecs import hookimpl

class Evil(Backend):
    name = "evil"
    def probe(self): return PROBE
    def estimate(self, request, features): return ESTIMATE
    def plan(self, request): return Plan(backend="evil", request=request, method="m", native=None)
    def run(self, plan, context):
        request = plan.request
        return RunResult(backend="BACKEND", method="m", precision="double", shots=request.shots, seed=request.seed,
                         counts={"0": request.shots}, id="\\x1b[2J")

class Plugin:
    @hookimpl
    def proxima_backends(self): return [Evil()]
    EXTRA

plugin = Plugin()
"""


def _backend(arena: Any, name: str, **parts: str) -> Any:
    """A hostile backend's stand-in in the kernel, and the plugin's."""
    from proxima.sandbox.proxies import stand_in

    code = _BACKEND
    for word, text in {"PROBE": 'Probe("available")', "ESTIMATE": "Estimate(True)", "BACKEND": "evil", "EXTRA": "",
                       **parts}.items():  # fmt: skip
        code = code.replace(word, text)
    capabilities = {"wants": ["counts"], "precisions": ["double"], "methods": ["m"], "noise": False, "dynamic": False}
    entry = {"name": "evil", "class": f"{arena.shop.package(name)}.Evil", "description": "x",
             "capabilities": capabilities}  # fmt: skip
    package = arena.shop.lay_out(name, type="backend", entry_points={"backends": [entry]}, permissions=[])
    (package / "__init__.py").write_text(code)
    if arena.as_root:
        for path in (package, *package.parent.glob("*")):
            path.chmod(0o755)
    arena.kernel.registry.__dict__.pop("records", None)
    arena.supervisor._seat(name).crashes.clear()
    return stand_in(lambda: arena.supervisor.worker(arena.kernel.registry.get(name)))


def _ask_to_run() -> Any:
    from proxima.contracts.backend import RunRequest
    from proxima.contracts.circuit import Circuit

    return RunRequest(circuit=Circuit.builder(1, 1).h(0).measure(0, 0).build(), shots=10)


def result_in_anothers_name(arena: Any) -> str:
    """A result that says it is of another backend, and stored under an id that is for a terminal."""
    from proxima.contracts.backend import RunContext

    (backend,) = _backend(arena, "liar", BACKEND="qsim").proxima_backends()
    try:
        result = backend.run(backend.plan(_ask_to_run()), RunContext())
    finally:
        arena.end("liar")
    if (result.backend, result.id) != ("evil", ""):
        return f"{result.backend!r} {result.id!r}"
    raise Stopped("the kernel says whose it is")


def results_of_other_backends(arena: Any) -> str:
    """Without the permission `database`, by the hook that is called after each run."""
    from proxima.contracts.result import RunResult

    hook = "@hookimpl\n    def proxima_run_finished(self, result): raise ValueError(str(result.counts))"
    plugin = _backend(arena, "listener", EXTRA=hook)
    other = RunResult(backend="qsim", method="m", precision="double", shots=4, seed=1, counts={"0": 4})
    try:
        plugin.proxima_run_finished(other)
    except Exception as error:  # noqa: BLE001 - what it raised has what it saw
        return str(error)
    finally:
        arena.end("listener")
    raise Stopped("it was not told")


def answer_that_never_comes(arena: Any) -> str:
    """To a question that is asked of every backend before any is chosen."""
    from proxima.errors import ProximaError

    arena.limits = {"wall_seconds": 3600.0}
    (backend,) = _backend(arena, "sleeper", PROBE="time.sleep(3600)").proxima_backends()
    done: list[str] = []

    def ask() -> None:
        try:
            backend.probe()
        except ProximaError as error:
            done.append(str(error))

    from proxima.sandbox import proxies

    seconds, proxies.QUESTION_SECONDS = getattr(proxies, "QUESTION_SECONDS", 0.0), 1.0
    try:
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(5)
    finally:
        proxies.QUESTION_SECONDS = seconds
        arena.end("sleeper")
    if done and "took longer than 1 s" in done[0]:
        raise Stopped(done[0])
    return f"nobody is answered: {done}"


def numbers_beyond_all_numbers(arena: Any) -> str:
    from proxima.cli.output import format_bytes
    from proxima.errors import ProximaError

    through = []
    for number, estimate in enumerate(("Estimate(True, memory_bytes=2**4000)", "Estimate(True, work={'a': 2**4000})")):
        from proxima.contracts.features import features_of

        (backend,) = _backend(arena, f"teller{number}", ESTIMATE=estimate).proxima_backends()
        request = _ask_to_run()
        try:
            estimate = backend.estimate(request, features_of(request.circuit))
            format_bytes(estimate.memory_bytes)  # as the selection does, which must not raise
            if estimate.work:
                through.append(str(estimate)[:80])
        except OverflowError as error:
            through.append(str(error))
        except ProximaError as error:
            last = str(error)
        finally:
            arena.end(f"teller{number}")
    if through:
        return str(through)
    raise Stopped(last)


def theme_in_a_backends_place(arena: Any) -> str:
    """The worker says that its backend is data; the kernel would take that as the object."""
    hook = """
    pass
import proxima.sandbox.serving as serving
from proxima.contracts.theme import Theme
collect = serving.Served._collect
def lie(self, *arguments):
    for each in collect(self, *arguments):
        yield each | {"theme": Theme("evil", False, {})}
serving.Served._collect = lie
"""
    from proxima.errors import ProximaError

    try:
        (backend,) = _backend(arena, "painter2", EXTRA=hook).proxima_backends()
    except ProximaError as error:
        raise Stopped(str(error)) from error
    finally:
        arena.end("painter2")
    return type(backend).__name__


def directory_of_the_users_script(arena: Any) -> str:
    """Whoever calls the kernel from a script has its directory on `sys.path`; a plugin named as something in it."""
    import sys

    script = arena.root / "project"
    (script / arena.shop.package("guest")).mkdir(parents=True)
    (script / "notes").write_text("private")
    if arena.as_root:
        for path in (script, script / "notes", script / arena.shop.package("guest")):
            path.chmod(0o755)
    sys.path.insert(0, str(script))
    try:
        arena.plugin(
            "guest",
            f"def act(arguments):\n    try: return open({str(script / 'notes')!r}).read()\n"
            "    except OSError as error: return 'no: ' + str(error)",
        )
        said = arena.call("guest")
    finally:
        sys.path.remove(str(script))
        arena.end("guest")
    if not said.startswith("no"):
        return said
    raise Stopped(said)


def metadata_that_stop_every_command(arena: Any) -> list[str]:
    """Numbers, nesting and bytes in what is read of every plugin before any command."""
    package = arena.plugin("breaker")
    manifest, points = package / "proxima-plugin.json", next(package.parent.glob("breaker-*")) / "entry_points.txt"
    good, good_points = json.loads(manifest.read_text()), points.read_text()
    deep: Any = 1
    for _ in range(400):
        deep = {"a": deep}
    through = []
    for word, change, text in (
        ("digits", {"fits": "python>=" + "9" * 5000}, good_points),
        ("depth", {"config_schema": {"a": {"default": deep}}}, good_points),
        ("null", {}, "[proxima.plugins]\nbreaker = a\0b:plugin\n"),
    ):
        manifest.write_text(json.dumps(good | change))
        points.write_text(text)
        for command in (["plugin", "list"], ["audit"], ["doctor"]):
            done = arena.shop.proxima(*command, env={"PROXIMA_PLUGINS": "breaker"})
            if "Traceback" in done.stderr:
                through.append(f"{word}: {' '.join(command)}: {done.stderr.splitlines()[-1][:80]}")
    for path in (*package.iterdir(), *points.parent.iterdir()):
        path.unlink() if path.is_file() else None
    arena.kernel.registry.__dict__.pop("records", None)
    if through:
        return through
    raise Stopped("each command answers")


def everything_but_secrets(arena: Any) -> list[str]:
    """With `file_read:all` and `file_write:all` granted: what is never granted stays out of reach all the same."""
    import sys
    from pathlib import Path

    from proxima.errors import ProximaError
    from proxima.paths import user_home
    from proxima.permissions import Permission

    package = arena.plugin("librarian", permissions=("file_read:all", "file_write:all"))
    before, os.environ["HOME"] = os.environ.get("HOME"), f"{arena.base}/home"
    secret = Path(user_home(), ".ssh", "id")
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("secret")
    code = package / "code.pth"
    sys.path.append(str(package))
    broker = arena.brokers._files
    through = []
    try:
        grants = f"{arena.kernel.paths.data}/permissions.sqlite"
        for path, mode in (
            *((str(secret), "r"), (str(code), "w"), (grants, "r")),
            *(("/sys/fs/cgroup/cgroup.procs", "r"), ("/proc/self/environ", "r")),
        ):
            try:
                os.close(broker.open("librarian", path, mode))
                through.append(f"{mode} {path}")
            except (ProximaError, OSError):
                continue
        Path(arena.host.workspace, "plain").write_text("x")
        os.close(broker.open("librarian", f"{arena.host.workspace}/plain", "r"))
    finally:
        sys.path.remove(str(package))
        os.environ["HOME"] = before or "/"
        for text in ("file_read:all", "file_write:all"):
            arena.kernel.permissions.grants.reset("librarian", Permission.parse(text))
    if through:
        return through
    raise Stopped("each was refused")


def half_closed_connection_outlives_revocation(arena: Any) -> str:
    """A plugin that will say no more, and goes on listening after it lost the permission."""
    from proxima.permissions import Permission

    network = arena.brokers._network
    network.open("hostile")
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    permission = f"network:localhost:{port}"
    arena.kernel.permissions.declare("hostile", "1.0", [permission])
    arena.kernel.permissions.grants.grant("hostile", Permission.parse(permission))
    mine = socket.socket(fileno=network.connect("hostile", "localhost", port))
    theirs, _ = server.accept()
    mine.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    socket.socket(fileno=network.connect("hostile", "localhost", port)).close()  # it looks at the open ones then
    network.revoke("hostile", Permission.parse(permission))
    mine.settimeout(1)
    try:
        theirs.send(b"secret")
        got = mine.recv(10)
    except OSError as error:
        raise Stopped(str(error)) from error
    finally:
        network.close("hostile")
    if got:
        return got.decode()
    raise Stopped("it was ended")


def lines_that_look_like_the_kernels(arena: Any) -> str:
    """An error of more than one line, and one that is logged."""
    import io
    from contextlib import redirect_stderr

    from proxima.cli.failure import report
    from proxima.errors import PluginBrokenError

    error = PluginBrokenError("plugin x raised no\nhint: run this", hint="a\nproxima: error: b")
    out = io.StringIO()
    with redirect_stderr(out):
        report(error)
    lines = out.getvalue().splitlines()
    code = (
        "import logging; from proxima.cli.app import run\nrun(['audit'])\n"
        "logging.getLogger('proxima').warning('\\x1b[2J %s', 'a\\nproxima: b')"
    )
    done = arena.shop.python("-c", code)
    logged = done.stderr.splitlines()
    if lines[1].startswith("hint") or lines[3:4] == ["proxima: error: b"] or "\x1b" in done.stderr:
        return f"{lines} {logged}"
    if sum(line.startswith("proxima:") for line in logged) != 1:
        return str(logged)
    raise Stopped(f"{lines} {logged}")


def question_with_lines_of_its_own(arena: Any) -> str:
    """Spaces that a terminal of 80 columns breaks into lines, so that they look like the question's own."""
    import io

    from proxima.permissions import ConsentRequest, Permission, TerminalConsent

    target = "/data/x" + " " * 63 + "  risk    none: Proxima itself asks"
    out = io.StringIO()
    TerminalConsent(io.StringIO(), out).ask(
        ConsentRequest("hostile", "1", Permission("file_read", target), target, "because" + " " * 70 + "risk    none")
    )
    if " " * 9 in out.getvalue():
        return out.getvalue()
    raise Stopped("runs of spaces are shown as such")


def memory_that_ends_the_kernel_first(arena: Any) -> str:
    """Where memory runs out, Linux ends the process with the highest score."""
    worker = arena.supervisor.running("other")
    scores = []
    for pid in (worker.pid, os.getpid()):
        with open(f"/proc/{pid}/oom_score_adj") as file:
            scores.append(int(file.read()))
    if scores[0] > scores[1]:
        raise Stopped(f"the worker goes first: {scores}")
    return str(scores)


def policies_of_other_plugins(arena: Any) -> str:
    """What the process that workers are forked from was told of the plugins that came before, in inherited memory."""
    for number in range(2):
        hosts = tuple(f"network:known-only-to-{number}-{n}.example.org" for n in range(20))
        arena.plugin(f"earlier{number}", "def act(arguments): return 'x'", permissions=hosts)
        arena.call(f"earlier{number}")
    body = """
def act(arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_long
    import gc
    reading, writing = os.pipe()
    top = libc.sbrk(0)
    parts = {(top - (64 << 20), top)} | {(n, n + (1 << 20)) for n in {id(o) >> 20 << 20 for o in gc.get_objects()}}
    for begin, end in parts:
        for page in range(begin & ~4095, end, 4096):
            size = libc.syscall(ctypes.c_long(1), ctypes.c_long(writing), ctypes.c_long(page), ctypes.c_long(4096))
            data = os.read(reading, 4096) if size > 0 else b''
            for part in data.split(b'known-' + b'only')[1:]:
                if b'example.org' in part[:40]: return 'known only' + part[:40].decode('latin-1')
    return ''
"""
    arena.plugin("later", body)
    said = arena.call("later")
    for name in ("earlier0", "earlier1", "later"):
        arena.end(name)
    if said:
        return str(said)
    raise Stopped("it was told nothing")
