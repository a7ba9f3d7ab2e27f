"""A shop of real wheels: made here, served by a simple index on this machine, installed by real resolvers."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest

TOOL = """
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.hookspecs import hookimpl

VERSION = "$VERSION"


class Act:
    name = "$NAME"

    def definition(self):
        return ToolDefinition("$NAME", "Says something", {"type": "object"})

    def call(self, arguments):
        return ToolResult(str(act()))


def act():
    return VERSION


$BODY


class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Act()]


plugin = Plugin()
"""


def wheel(directory: Path, name: str, version: str, files: dict[str, str], *requires: str, points: str = "") -> Path:
    """Writes a wheel of pure Python."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    entries = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.3\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {each}\n" for each in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{info}/entry_points.txt": points} if points else {}),
    }
    rows = []
    for path, text in entries.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}\n")
    path = directory / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, text in entries.items():
            archive.writestr(entry, text)
        archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
    return path


class Index(ThreadingHTTPServer):
    """A simple index with metadata (PEP 503, 658) over a directory; `mood` says how wheels are sent.

    They are sent ``well``, ``slow``, ``half`` or ``wrong``, or are ``gone``. Pages are sent while the `gate` is open;
    `patient` says whether it was always opened in time.
    """

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.directory = directory
        self.mood = "well"
        self.patient = True
        self.gate = threading.Event()
        self.gate.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/simple/"


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Index

    def do_GET(self) -> None:
        directory = self.server.directory
        _, kind, name = [*self.path.split("/"), ""][:3]
        if kind == "simple":
            self.server.patient &= self.server.gate.wait(20)
            found = [p for p in sorted(directory.glob("*.whl")) if p.name.split("-")[0].replace("_", "-") == name]
            told = 'data-core-metadata="true" data-dist-info-metadata="true"'
            links = [f'<a href="/files/{p.name}#sha256={sha256(p)}" {told}>{p.name}</a>' for p in found]
            self.answer("text/html", f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode(), bool(found))
            return
        if name.endswith(".metadata"):
            self.answer("text/plain", metadata(directory / name.removesuffix(".metadata")), True)
            return
        path = directory / name
        data = path.read_bytes() if path.exists() and self.server.mood != "gone" else b""
        if self.server.mood == "wrong":
            self.answer("application/zip", b"x" * len(data), True)
        else:
            self.answer("application/zip", data, bool(data))

    def answer(self, kind: str, body: bytes, found: bool) -> None:
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == "application/zip" and self.server.mood == "half":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif kind == "application/zip" and self.server.mood == "slow":
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                time.sleep(0.05)
        else:
            self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # who asked has given up, as some tests want it

    def log_message(self, *args: object) -> None:
        """Tests read what is printed."""


def metadata(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Shop:
    """Plugins and libraries to install, and a Proxima home to install them to."""

    def __init__(self, root: Path, index: Index) -> None:
        self.root = root
        self.index = index
        self.home = root / "home"
        self.store = self.home / "data" / "store"
        self.flags: dict[str, object] = {"store.index_url": index.url}

    def library(self, name: str, version: str, *requires: str, text: str = "") -> Path:
        package = name.replace("-", "_")
        return wheel(self.index.directory, name, version, {f"{package}.py": text or f"V = {version!r}\n"}, *requires)

    def plugin(
        self,
        name: str = "tea",
        version: str = "1.0",
        *requires: str,
        body: str = "",
        code: str = TOOL,
        distribution: str = "",
        files: dict[str, str] | None = None,
        **fields: Any,
    ) -> Path:
        """A plugin with one tool that says its version, or what `act` in the body gives."""
        package = name.replace("-", "_")
        tool = {"name": name, "class": f"{package}.Act", "description": "Says something"}
        manifest = {
            "name": name,
            "version": version,
            "description": "A plugin",
            "license": "MIT",
            "type": "tool",
            "entry_points": {"tools": [tool]},
        } | fields
        code = code.replace("$VERSION", version).replace("$NAME", name).replace("$BODY", body)
        content = {
            f"{package}/__init__.py": code,
            f"{package}/proxima-plugin.json": compiled_text(check_manifest(manifest, source=name)),
        } | (files or {})
        points = f"[proxima.plugins]\n{name} = {package}:plugin\n"
        return wheel(self.index.directory, distribution or name, version, content, *requires, points=points)

    def kernel(self, **flags: object) -> Kernel:
        """A kernel that sees no plugins but the store's."""
        kernel = Kernel(paths=Paths.under(str(self.home)), flags=self.flags | flags)
        kernel.registry.path = []
        return kernel

    def said(self, name: str = "tea", kernel: Kernel | None = None) -> str:
        """What the plugin's tool says, from a worker of its own."""
        if kernel is not None:
            return str(kernel.get("tools", name).call({}).text)
        with self.kernel() as fresh:
            return self.said(name, fresh)

    def site(self, name: str = "tea") -> Path:
        """The import root of the version that runs."""
        return self.pointer(name) / "site"

    def dependencies(self, name: str = "tea") -> Path:
        """The import root of what it depends on."""
        return self.pointer(name) / "dependencies"

    def pointer(self, name: str = "tea") -> Path:
        lines = dict(line.partition(" ")[::2] for line in (self.store / "current" / name).read_text().splitlines()[1:])
        return self.store / lines["directory"]

    def left_behind(self) -> list[str]:
        """What is in the store and belongs to no installed plugin."""
        current = {path.name for path in self.store.glob("current/*")}
        versions = [path for path in self.store.glob("versions/*/*") if path.parent.name not in current]
        found = [*self.store.glob("work/*"), *self.store.glob("journal/*"), *self.store.glob("current/.*"), *versions]
        found += [path for path in self.store.glob("versions/*") if path.name not in current]
        found += self.home.glob("cache/wheels/.new-*")
        linked = {path.resolve() for path in self.store.glob("versions/*/*/dependencies")}
        found += [path for path in self.store.glob("roots/*") if path.resolve() not in linked]
        found += [
            path.parent.parent for path in self.store.glob("wheels/*/*.dist-info/RECORD") if path.stat().st_nlink == 1
        ]
        return [str(path.relative_to(self.home)) for path in found]


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uv_cache: Path) -> Iterator[Shop]:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(uv_cache),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    directory = tmp_path / "wheels"
    directory.mkdir()
    index = Index(directory)
    thread = threading.Thread(target=index.serve_forever, args=(0.02,))
    thread.start()
    yield Shop(tmp_path, index)
    index.shutdown()
    index.server_close()
    thread.join()
