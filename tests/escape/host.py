"""One host with things worth stealing, and on it a kernel with a hostile plugin."""

from __future__ import annotations

import compileall
import importlib
import importlib.util
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import locked_child

HERE = Path(__file__).resolve().parent
KERNEL_TESTS = HERE.parent.parent / "kernel" / "tests"
MODULES = [HERE / "conversation.py", *HERE.glob("attempts_*.py"), KERNEL_TESTS / "lock_attempts.py"]

HOSTILE = """
import ctypes, importlib, json, os, sys, threading, time, types
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.hookspecs import hookimpl

def act(arguments):
    host = types.SimpleNamespace(**arguments["host"])
    host.scratch, host.locked = os.getcwd(), True
    importlib.import_module("conversation").undress()
    module = importlib.import_module(arguments["module"])
    try:
        answer = {"ok": repr(getattr(module, arguments["attempt"])(host))[:300]}
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:4000], "errno": getattr(error, "errno", None),
                  "type": type(error).__name__}
    return json.dumps(answer)

BODY

class Act:
    name = "NAME"

    def definition(self):
        return ToolDefinition("NAME", "Does harm", {"type": "object"})

    def call(self, arguments):
        answer = act(arguments)
        return answer if isinstance(answer, ToolResult) else ToolResult(str(answer))


class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Act()]


plugin = Plugin()
"""


class Arena:
    """The host.

    Attributes:
        host: What an attempt is told of it.
        tier: None for a control, which has no supervisor.
    """

    def __init__(self, base: str, tier: str | None) -> None:
        self.base, self.tier = base, tier
        self._strangers = os.geteuid() == 0 and tier == "B"
        self.host, self._kept = locked_child.set_up(base, [])
        self.root = Path(base)
        self.limits: dict[str, Any] = {}
        host = self.host
        host.locked = False
        settings = Path("/sys/devices/system/cpu").glob("*")
        host.knob = next((str(path) for path in sorted(settings) if path.is_file() and path.stat().st_mode & 0o200), "")
        host.bait, host.permissions = f"{host.home}/bait", f"{base}/proxima/permissions.sqlite"
        host.settings = f"{base}/proxima/settings.toml"
        os.symlink("/somewhere/private", f"{host.home}/link")
        os.environ |= {"PROXIMA_SECRET_ESCAPE": "secret", "PROXIMA_SECRET_MINE": "mine"}
        os.set_inheritable(host.open_secret, True)
        os.mkfifo(f"{host.workspace}/pipe")
        granted = socket.create_server(("127.0.0.1", 0), backlog=64)
        silent = socket.create_server(("127.0.0.1", 0), backlog=0)
        host.granted, host.silent = granted.getsockname()[1], silent.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]  # more than it takes, so that whoever comes next waits
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", host.silent))
        self._kept += [granted, silent, *waiting]
        os.mkdir(f"{base}/cwd")
        os.chdir(f"{base}/cwd")
        spec = importlib.util.spec_from_file_location("kernel_conftest", KERNEL_TESTS / "conftest.py")
        assert spec is not None
        assert spec.loader is not None
        workshop = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(workshop)
        os.mkdir(f"{base}/shop")
        self.shop = workshop.Workshop(Path(base) / "shop")
        sys.path.insert(0, str(self.shop.site))
        host.plugin = str(self.shop.site)
        for name, text in (("data", "x"), ("module.py", "ANSWER = 42\n")):
            (self.shop.site / name).write_text(text)
        self.shop.home.mkdir()
        self._show_to_strangers()
        if tier is not None:
            self._open()
        else:
            importlib.import_module("proxima.sandbox.rpc")  # once, for all the children
            for path in (host.permissions, host.settings):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Path(path).write_text("x")
            self._other_process()

    def lay_bait(self) -> None:
        """What an attempt before may have taken."""
        for path in (self.host.bait, f"{self.host.workspace}/file", f"{self.host.plugin}/data"):
            Path(path).write_text("bait")
        if self._strangers:
            for path in (self.host.key, self.host.spare_key, self.host.bait, f"{self.host.workspace}/file"):
                os.chmod(path, 0o666)

    def _open(self) -> None:
        from proxima.sandbox.brokers import Brokers
        from proxima.sandbox.policy import Limits
        from proxima.sandbox.supervisor import Supervisor

        self.kernel = self.shop.kernel()
        self.events: list[Any] = []
        brokers = Brokers(self.kernel)
        self.supervisor = Supervisor(
            paths=self.kernel.paths,
            registry=self.kernel.registry,
            permissions=self.kernel.permissions,
            publish=self.events.append,
            limits=lambda record: Limits(**{"wall_seconds": 20.0} | self.limits),
            settings=lambda record: {},
            tier=self.tier,  # type: ignore[arg-type]
            seconds=20,
            serve=brokers.serve,
            ended=brokers.ended,
        )
        self.supervisor._open()
        if self._strangers:  # who must get through to their scratch
            for path in (self.supervisor._scratch.root, *Path(self.supervisor._scratch.root).parents):
                if path != self.shop.root and Path(path).is_relative_to(self.base):
                    os.chmod(path, 0o711)
        host = self.host
        host.permissions = os.path.join(self.kernel.paths.data, "permissions.sqlite")
        host.settings = os.path.join(self.kernel.paths.config, "settings.toml")
        os.makedirs(os.path.dirname(host.settings), exist_ok=True)
        Path(host.settings).touch()
        permissions = (
            f"file_write:{host.workspace}",
            f"file_read:{host.workspace}",
            f"network:localhost:{host.granted}",
            f"network:localhost:{host.silent}",
            "secrets:MINE",
        )
        self.plugin("hostile", permissions=permissions)
        for module in MODULES:
            shutil.copy(module, self.shop.site)
        compileall.compile_dir(self.shop.site, quiet=2)
        self.let_everybody_read(self.shop.site)
        self.plugin("other", "def act(arguments):\n    open('mine', 'a').close()\n    return os.getpid()")
        self.call("other")
        worker = self.supervisor.running("other")
        assert worker is not None
        host.other_scratch, host.other_pid = worker.policy.scratch, worker.pid

    def _other_process(self) -> None:
        self.host.other_scratch, self.host.other_pid = f"{self.base}/other", self.host.victim
        os.mkdir(self.host.other_scratch)
        Path(self.host.other_scratch, "mine").touch()

    def _show_to_strangers(self) -> None:
        """A worker of root is another user at tier B: were it not for the lock, it could get at everything here."""
        if self._strangers:
            for path in (self.base, f"{self.base}/shop", str(self.shop.home), self.host.plugin):
                os.chmod(path, 0o755)
            for path in (self.host.home, self.host.workspace):
                os.chmod(path, 0o777)

    def plugin(self, name: str, body: str = "", *, permissions: tuple[str, ...] = ()) -> Path:
        """Lays out a plugin with one tool, granted what it asks for; `body` may define its own `act`."""
        from proxima.permissions import Permission

        entry = {"name": name, "class": f"{self.shop.package(name)}.Act", "description": "Does harm"}
        package = self.shop.lay_out(name, type="tool", entry_points={"tools": [entry]}, permissions=list(permissions))
        (package / "__init__.py").write_text(self.code(name, body))
        self.let_everybody_read(package)
        self.look_again()
        self.kernel.permissions.declare(name, "1.0", permissions)
        for text in permissions:
            self.kernel.permissions.grants.grant(name, Permission.parse(text))
        return package  # type: ignore[no-any-return]

    @staticmethod
    def code(name: str, body: str) -> str:
        return HOSTILE.replace("BODY", body).replace("NAME", name)

    @staticmethod
    def let_everybody_read(package: Path) -> None:
        """A worker of root is another user at tier B."""
        for path in (package, *package.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    @staticmethod
    def remove(path: Path) -> None:
        shutil.rmtree(path)

    def look_again(self) -> None:
        """The registry reads what is installed once."""
        self.kernel.registry.__dict__.pop("records", None)

    def tool(self, name: str) -> Any:
        from proxima.sandbox.proxies import stand_in

        self.supervisor._seat(name).crashes.clear()  # else it would be quarantined
        (tool,) = stand_in(lambda: self.supervisor.worker(self.kernel.registry.get(name))).proxima_tools()  # type: ignore[attr-defined]
        return tool

    def call(self, name: str, **arguments: Any) -> str:
        return str(self.tool(name).call(arguments).text)

    def end(self, name: str) -> None:
        self.supervisor.restart(name)

    def told(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self.host).items() if name != "import_paths"}

    def close(self) -> None:
        if self.tier is not None:
            self.supervisor.close()
            self.kernel.close()
        os.kill(self.host.victim, signal.SIGKILL)
        os.waitpid(self.host.victim, 0)
