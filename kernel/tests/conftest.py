"""A workshop that makes real plugins, installs them and runs `proxima` on them."""

from __future__ import annotations

import importlib
import io
import json
import os
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import proxima
from proxima.cli import main
from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest

COMMAND = """
from proxima.hookspecs import hookimpl


class Greet:
    name = "NAME"
    summary = "Greets"

    def configure(self, parser):
        parser.add_argument("--loud", action="store_true")

    def run(self, args, kernel):
        print("HELLO" if args.loud else "hello")
        return 0


class Plugin:
    @hookimpl
    def proxima_commands(self):
        return [Greet()]


plugin = Plugin()
"""


# Most tests are about plugins, not about what holds them: theirs run in-process, as a user may choose.
TRUSTED = {"PROXIMA_SETTING__ISOLATION__DEFAULT": "in-process"}


class Workshop:
    """Plugins in `site`, Proxima's files under `home`; each plugin's import leaves a line in `imported()`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = root / "site"
        self.home = root / "home"
        self.site.mkdir()
        self._log = root / "imported"

    def package(self, name: str) -> str:
        return f"plug_{name.replace('-', '_')}"

    def manifest(self, name: str, **fields: Any) -> dict[str, Any]:
        """A manifest as an author would write it, of one command called as the plugin is."""
        command = {"name": name, "class": f"{self.package(name)}.Greet", "description": f"Greets from {name}"}
        return {
            "name": name,
            "version": "1.0",
            "description": f"The plugin {name}",
            "license": "MIT",
            "type": "command",
            "entry_points": {"commands": [command]},
        } | fields

    def code(self, name: str, code: str = COMMAND) -> str:
        log = f"import os\nwith open({str(self._log)!r}, 'a') as log:\n    log.write({name!r} + '\\n')\n"
        return log + code.replace("NAME", name)

    def lay_out(
        self,
        name: str,
        code: str = COMMAND,
        *,
        site: Path | None = None,
        distribution: str | None = None,
        compiled: str | bytes | None = None,
        points: str | bytes | None = None,
        **fields: Any,
    ) -> Path:
        """Puts package and dist-info where pip would; returns the package's directory."""
        site = site or self.site
        manifest = self.manifest(name, **fields)
        if compiled is None:
            compiled = compiled_text(check_manifest(manifest, source=name))
        if points is None:
            points = f"[proxima.plugins]\n{name} = {self.package(name)}:plugin\n"
        package = site / self.package(name)
        info = site / f"{(distribution or name).replace('-', '_')}-{manifest['version']}.dist-info"
        for directory in (package, info):
            directory.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution or name}\nVersion: 1.0\n")
        for path, content in (
            (info / "entry_points.txt", points),
            (package / "proxima-plugin.json", compiled),
            (package / "__init__.py", self.code(name, code)),
        ):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return package

    def source(self, name: str, code: str = COMMAND, **fields: Any) -> Path:
        """A project as an author has it, its manifest compiled by the SDK's command."""
        project = self.root / "projects" / name
        package = project / "src" / self.package(name)
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(self.code(name, code))
        (project / "plugin.yaml").write_text(json.dumps(self.manifest(name, **fields)))  # JSON is YAML
        (project / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
            f'[project.entry-points."proxima.plugins"]\n{name} = "{package.name}:plugin"\n'
            '[build-system]\nrequires = ["uv_build>=0.11,<0.14"]\nbuild-backend = "uv_build"\n'
            f'[tool.uv.build-backend]\nmodule-name = "{package.name}"\n'
        )
        self.module("proxima_sdk.manifest.compile", str(project / "plugin.yaml"))
        return project

    def wheel(self, project: Path) -> Path:
        out = project / "dist"
        self.module("uv", "build", "-q", "--offline", "--wheel", "--no-build-isolation", str(project), "-o", str(out))
        (built,) = out.glob("*.whl")
        return built

    def install(self, wheel: Path) -> None:
        self.module("uv", "pip", "install", "-q", "--offline", "--no-deps", "--target", str(self.site), str(wheel))

    def module(self, *arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def environ(self, **extra: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PROXIMA_", "COV_"))}
        return kept | TRUSTED | {"PYTHONPATH": str(self.site), "PROXIMA_HOME": str(self.home)} | extra

    def proxima(
        self, *words: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command line in a process of its own."""
        return self.python("-m", "proxima", *words, env=env, **options)

    def python(
        self, *words: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        options = {"capture_output": True, "text": True, "timeout": 60} | options
        if "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run([sys.executable, *words], env=self.environ(**(env or {})), **options)

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command], env=self.environ(), cwd=self.root, capture_output=True, text=True, timeout=60
        )

    def main(self, *words: str) -> tuple[int, str, str]:
        """Runs the command line in this process, which is faster; gives exit code, output and errors."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(words)
        return code, out.getvalue(), err.getvalue()

    def json(self, *words: str) -> Any:
        code, out, err = self.main(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def states(self) -> dict[str, str]:
        """What `proxima plugin list` says of the plugins made here."""
        ours = {path.name.removeprefix("plug_").replace("_", "-") for path in self.site.glob("plug_*")}
        rows = [line.split() for line in self.main("plugin", "list")[1].splitlines()[1:]]
        return {row[0]: row[2] if row[1][0].isdigit() else row[1] for row in rows if row[0] in ours}

    def imported(self) -> list[str]:
        """The plugins whose code ran, in order, by any process."""
        return self._log.read_text().split() if self._log.exists() else []

    def kernel(self, **options: Any) -> Kernel:
        """A kernel in this process that sees the plugins made here and no others."""
        kernel = Kernel(paths=Paths.under(str(self.home)), **options)
        kernel.registry.path = [str(self.site)]
        return kernel


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    shop = Workshop(tmp_path)
    monkeypatch.syspath_prepend(shop.site)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("PROXIMA_PLUGINS", raising=False)
    monkeypatch.setenv("PROXIMA_HOME", str(shop.home))
    for name, value in TRUSTED.items():
        monkeypatch.setenv(name, value)
    forget_plugins()
    yield shop
    forget_plugins()


def forget_plugins() -> None:
    """Makes the next activation in this process import anew."""
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


BROKERED = """
import json, os, socket, sys
sys.path[:0] = json.loads(sys.argv.pop(1))
from proxima.sandbox.channel import Channel
from proxima.sandbox.own import Own
from proxima.sandbox.rpc import Peer
from proxima.sandbox.shm import MappedBuffers
from proxima.sandbox.worker_services import WorkerServices, install

own = Own(*json.loads(sys.argv.pop(1)))
peer = Peer(Channel(socket.socket(fileno=int(sys.argv.pop(1)))), plugin=own.plugin, buffers=MappedBuffers())
peer.start()
services = WorkerServices(peer)
install(peer, own.files)
EVENTS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname")

def refuse(event, arguments):
    if event in EVENTS:
        raise AssertionError(f"{event} {arguments} did not go through the kernel")
    if event == "open" and isinstance(arguments[0], str) and os.path.abspath(arguments[0]).startswith("HIDDEN/"):
        raise PermissionError(13, "Permission denied", arguments[0])

sys.addaudithook(refuse)
"""


class Brokered:
    """A plugin `tea` in a process of its own, served by the kernel's brokers.

    It is not locked; instead what it connects, binds or resolves by itself, or opens below ``hidden``, raises.
    """

    def __init__(self, root: Path, kernel: Kernel) -> None:
        from proxima.sandbox.brokers import Brokers

        self.root = root
        self.hidden = root / "hidden"
        self.own = root / "own"
        self.hidden.mkdir()
        self.own.mkdir()
        self.kernel = kernel
        self.brokers = Brokers(self.kernel)

    def grant(self, *permissions: str, declare: tuple[str, ...] = ()) -> None:
        from proxima.permissions import Permission

        self.kernel.permissions.declare("tea", "1.0", (*permissions, *declare))
        for text in permissions:
            self.kernel.permissions.grants.grant("tea", Permission.parse(text))

    def run(self, code: str, *arguments: object) -> str:
        """What the code prints; ``sys.argv[1:]`` are the arguments."""
        import socket

        from proxima.sandbox.channel import Channel
        from proxima.sandbox.own import own_part
        from proxima.sandbox.policy import Limits, SandboxPolicy
        from proxima.sandbox.rpc import Peer
        from proxima.sandbox.shm import BufferPool

        ours, theirs = socket.socketpair()
        policy = SandboxPolicy(
            plugin="tea", tier="C", read=(), write=(), import_paths=(), scratch=str(self.own), network=(),
            subprocess=False, gpu=False, limits=Limits(), threads=1,
        )  # fmt: skip
        before = BROKERED.replace("HIDDEN/", f"{self.hidden}/")
        (self.root / "plugin.py").write_text(before + textwrap.dedent(code))
        paths = json.dumps([str(Path(proxima.__file__).parent.parent)])
        words = [
            str(self.root / "plugin.py"),
            paths,
            json.dumps(own_part(policy)),
            str(theirs.fileno()),
            *map(str, arguments),
        ]
        peer = Peer(Channel(ours), plugin="tea", buffers=BufferPool())
        self.brokers.serve(peer, policy)
        peer.start()
        try:
            done = subprocess.run(
                [sys.executable, *words],
                pass_fds=[theirs.fileno()],
                capture_output=True,
                text=True,
                timeout=60,
                env={"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"},
            )
        finally:
            theirs.close()
            peer.close()
            self.brokers.ended("tea")
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def brokered(tmp_path: Path, workshop: Workshop) -> Iterator[Brokered]:
    with workshop.kernel() as kernel:
        yield Brokered(tmp_path, kernel)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A certificate authority of our own and a certificate for localhost: (CA file, certificate file, key file)."""
    root = tmp_path_factory.mktemp("authority")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=root, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA",
            "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    openssl("req", *new, "-keyout", "host.key", "-out", "host.csr", "-subj", "/CN=localhost")
    (root / "extensions").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "host.pem", "-days", "2", "-extfile", "extensions")  # fmt: skip
    return root / "ca.pem", root / "host.pem", root / "host.key"


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/go/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/go/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = f"{self.path} for {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Tests read what the plugin prints."""


@pytest.fixture
def https(authority: tuple[Path, Path, Path]) -> Iterator[int]:
    """The port of a site on localhost whose certificate the authority gave."""
    _, certificate, key = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def as_user() -> Callable[..., list[str]]:
    """Prefixes a command so that an ordinary user runs it, for whom permissions on files hold."""
    if os.getuid() != 0:
        return lambda *command: list(command)
    from shutil import which

    if which("setpriv") is None:
        pytest.skip("root, and no setpriv to become somebody else")
    return lambda *command: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]


@pytest.fixture(scope="session")
def kernel_source() -> Path:
    return Path(proxima.__file__).parent


TOOL = """
import ctypes, gc, os, struct, sys, threading, time
import msgpack
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.hookspecs import hookimpl
from proxima.sandbox.rpc import Peer


def raw():
    (peer,) = [each for each in gc.get_objects() if isinstance(each, Peer)]
    return peer._channel


def tool(data):
    return {"$": "ToolResult", "text": "x", "data": data, "failed": False}


def send(*message):
    data = msgpack.packb(list(message))
    os.write(raw().fileno(), struct.pack("<I", len(data)) + data)


class Act:
    name = "NAME"

    def definition(self):
        return ToolDefinition("NAME", "Does harm", {"type": "object"})

    def call(self, arguments):
        return ToolResult(str(act(arguments)))


def act(arguments):
    return "done"


BODY


class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Act()]


plugin = Plugin()
"""


class SandboxWorkshop:
    """A supervisor of its own over plugins that do harm on request, each with one tool called as the plugin is."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.kernel = workshop.kernel()
        self.events: list[Any] = []
        self.limits: dict[str, Any] = {}
        self.supervisor: Any = None

    def plugin(self, name: str, body: str = "", *, code: str = TOOL, **fields: Any) -> str:
        """Lays a plugin out; `body` goes to its top level."""
        package = self.workshop.package(name)
        entry = {"name": name, "class": f"{package}.Act", "description": "Does harm"}
        directory = self.workshop.lay_out(name, type="tool", **({"entry_points": {"tools": [entry]}} | fields))
        (directory / "__init__.py").write_text(code.replace("BODY", body).replace("NAME", name))
        self.kernel.registry.__dict__.pop("records", None)
        return name

    def start(self, tier: str | None = None) -> Any:
        """The supervisor, once all plugins are laid out."""
        from proxima.sandbox.policy import Limits
        from proxima.sandbox.probe import probe
        from proxima.sandbox.supervisor import Supervisor

        self.supervisor = Supervisor(
            paths=self.kernel.paths,
            registry=self.kernel.registry,
            permissions=self.kernel.permissions,
            publish=self.events.append,
            limits=lambda record: Limits(**{"memory_bytes": 2 << 30, "wall_seconds": 20} | self.limits),
            settings=lambda record: {},
            tier=tier or os.environ.get("PROXIMA_TEST_TIER") or probe().tier,
            seconds=20,
        )
        return self.supervisor

    def worker(self, name: str) -> Any:
        return (self.supervisor or self.start()).worker(self.kernel.registry.get(name))

    def call(self, name: str, **arguments: Any) -> str:
        """Calls the plugin's tool through its stand-in."""
        from proxima.sandbox.proxies import stand_in

        (tool,) = stand_in(lambda: self.worker(name)).proxima_tools()
        return tool.call(arguments).text

    def locked(self) -> list[int]:
        """The processes that are workers, once the one that waits to become the next is there."""
        self.waiting()
        return [pid for pid, status in self._children() if "Seccomp:\t2" in status]

    def waiting(self) -> int | None:
        """The process that waits to become the next worker, which is there a moment after the last; at tier A."""
        deadline = time.monotonic() + 10
        while self.supervisor.tier == "A" and time.monotonic() < deadline:
            for pid, status in self._children():
                if "Seccomp:\t0" in status and f"NSpid:\t{pid}\t1\n" in status:
                    return pid
            time.sleep(0.01)
        return None

    def _children(self) -> Iterator[tuple[int, str]]:
        zygote = self.supervisor.zygote.pid
        for pid in Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield int(pid), Path(f"/proc/{pid}/status").read_text()

    def output(self, name: str) -> list[str]:
        return [event.text for event in self.events if event.source == name and hasattr(event, "text")]

    def audit(self, name: str) -> list[tuple[str, str]]:
        return [(row.permission, row.target or "") for row in self.kernel.permissions.audit.search(plugin=name)]

    def close(self) -> None:
        if self.supervisor is not None:
            self.supervisor.close()
        self.kernel.close()


@pytest.fixture
def sandbox(workshop: Workshop) -> Iterator[SandboxWorkshop]:
    if sys.platform != "linux":
        pytest.skip("workers are locked on Linux only")
    made = SandboxWorkshop(workshop)
    yield made
    made.close()
