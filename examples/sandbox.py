"""What a plugin by somebody else reaches, and what it is refused. Run it with the workspace's `.venv/bin/python`.

Builds the wheel of `plugins/lab-queue`, installs it into a directory of its own, grants it one port of this computer,
and has its tool ask for that and for other addresses.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import proxima
from proxima.cli import main as command
from proxima.paths import Paths

PLUGIN = Path(__file__).parent / "plugins" / "lab-queue"
PORT = int(re.search(r"network:localhost:(\d+)", (PLUGIN / "plugin.yaml").read_text("utf-8")).group(1))  # type: ignore[union-attr]
REBOUND = "queue.example.org"


class JobServer(BaseHTTPRequestHandler):
    """Answers `/queue`; `/go/ADDRESS` sends its visitors elsewhere."""

    visits: list[int] = []  # noqa: RUF012 - of all servers, the port of each request

    def do_GET(self) -> None:
        self.visits.append(self.server.server_port)  # type: ignore[attr-defined]
        if self.path.startswith("/go/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/go/"))
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"waiting": 3}')

    def log_message(self, *_: object) -> None:
        """What is asked is in `visits`."""


@contextmanager
def job_server(port: int) -> Iterator[int]:
    """A job server on this computer; its port."""
    with ThreadingHTTPServer(("127.0.0.1", port), JobServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def hostile_name_server() -> Iterator[None]:
    """For as long as this lasts, `REBOUND` leads to this computer."""
    real = socket.getaddrinfo

    def rebound(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        return real("127.0.0.1" if host == REBOUND else host, port, *args, **kwargs)

    socket.getaddrinfo = rebound
    try:
        yield
    finally:
        socket.getaddrinfo = real


def install(directory: str) -> str:
    """Builds the plugin's wheel and installs it apart from Proxima's own environment."""
    uv = [sys.executable, "-m", "uv"]
    wheels, site = f"{directory}/wheels", f"{directory}/site"
    build = [*uv, "build", "-q", "--offline", "--wheel", "--no-build-isolation", str(PLUGIN), "-o", wheels]
    subprocess.run(build, check=True)
    (wheel,) = Path(wheels).glob("*.whl")
    subprocess.run([*uv, "pip", "install", "-q", "--offline", "--no-deps", "--target", site, str(wheel)], check=True)
    return site


def demo(directory: str) -> int:
    """Prints a line for each address; the exit code is 3 where this host holds no plugin."""
    sys.path.insert(0, install(directory))
    os.environ["PROXIMA_HOME"] = home = f"{directory}/home"
    with proxima.open(paths=Paths.under(home)) as px, job_server(PORT), job_server(0) as other:
        if px.isolation.host.tier == "C":
            print("This host cannot hold a plugin to its permissions; `proxima doctor` says why.")
            return 3

        def grant(permission: str) -> None:
            print(f"\n$ proxima plugin permissions lab-queue grant {permission}", flush=True)
            command(["plugin", "permissions", "lab-queue", "grant", permission])

        def ask(what: str, url: str) -> None:
            answer = px.get("tools", "queue-length").call({"url": url})
            print(f"{'refused' if answer.failed else 'reached'}  {what}: {url}\n         {answer.text}")

        grant(f"network:localhost:{PORT}")
        here = f"http://localhost:{PORT}"
        ask("what was granted", f"{here}/queue")
        ask("another port", f"http://localhost:{other}/queue")
        ask("another name", f"http://127.0.0.1:{PORT}/queue")
        ask("another spelling", f"http://LOCALHOST.:{PORT}/queue")
        ask("IPv6", f"http://[::1]:{PORT}/queue")
        ask("a redirect", f"{here}/go/http://localhost:{other}/queue")
        ask("a redirect to a number", f"{here}/go/http://127.0.0.1:{PORT}/queue")
        ask("another computer", "http://example.org/queue")
        grant(f"network:{REBOUND}:{PORT}")
        with hostile_name_server():
            ask("a name that was granted and now leads here", f"http://{REBOUND}:{PORT}/queue")
        seen = {port: JobServer.visits.count(port) for port in (PORT, other)}
        print(f"\nRequests that arrived: {seen[PORT]} at port {PORT}, {seen[other]} elsewhere.")
        print(
            f"The plugin ran so: {px.registry.get('lab-queue').isolation}.\n\n$ proxima audit --plugin lab-queue",
            flush=True,
        )
        return command(["audit", "--plugin", "lab-queue"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="proxima-sandbox-") as directory:
        sys.exit(demo(directory))
