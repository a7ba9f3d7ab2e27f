"""A sandboxed plugin with one host and port granted reaches exactly that, from inside a real lock."""

import socket
import sys

import pytest

from proxima.permissions import Permission

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lock is Linux's")

FETCH = """
import asyncio, ctypes, errno, os, socket, ssl, urllib.request
from urllib.parse import urlsplit
import _socket
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.hookspecs import hookimpl


class Greet:
    name = "fetch"

    def definition(self):
        return ToolDefinition("fetch", "Fetches", {"type": "object"})

    def call(self, arguments):
        try:
            value = getattr(self, arguments["how"])(arguments)
        except Exception as error:
            return ToolResult(f"{type(error).__name__}: {error}", failed=True)
        return ToolResult(str(value))

    def urllib(self, given):
        context = ssl.create_default_context(cadata=given["ca"])
        with urllib.request.urlopen(given["url"], context=context, timeout=10) as answer:
            return answer.read().decode()

    def requests(self, given):
        import requests

        with open("ca.pem", "w") as file:
            file.write(given["ca"])
        return requests.get(given["url"], verify="ca.pem", timeout=10).text

    def httpx(self, given):
        import httpx

        context = ssl.create_default_context(cadata=given["ca"])
        return httpx.get(given["url"], verify=context, follow_redirects=True).text

    def httpx_async(self, given):
        import httpx

        async def get():
            async with httpx.AsyncClient(verify=ssl.create_default_context(cadata=given["ca"])) as client:
                return (await client.get(given["url"])).text

        return asyncio.run(get())

    def connect(self, given):
        with socket.create_connection((given["host"], given["port"]), timeout=10) as connection:
            return connection.getpeername()[0]

    def native(self, given):
        return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)

    def aim_again(self, given):
        # A connected socket is taken apart and pointed elsewhere.
        connection = socket.create_connection(("localhost", given["granted"]))
        libc = ctypes.CDLL(None, use_errno=True)
        elsewhere = b"\\x02\\x00" + given["port"].to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
        for address in (bytes(16), elsewhere):
            if libc.connect(connection.fileno(), address, 16) == 0:
                return "aimed elsewhere"
            if ctypes.get_errno() != errno.EPERM:
                return os.strerror(ctypes.get_errno())
        fast_open = 0x20000000
        if libc.sendto(connection.fileno(), b"x", 1, fast_open, elsewhere, 16) >= 0:
            return "sent elsewhere"
        return "held"

    def read(self, given):
        with open(given["path"]) as file:
            return file.read()


class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Greet()]


plugin = Plugin()
"""


@pytest.fixture
def fetch(workshop, authority, https):
    """Calls the tool of a sandboxed plugin, which was granted the HTTPS site's port on localhost and no more."""
    entry = {"name": "fetch", "class": "plug_tea.Greet", "description": "Fetches"}
    data = workshop.root / "data"
    data.mkdir()
    package = workshop.lay_out(
        "tea",
        type="tool",
        entry_points={"tools": [entry]},
        permissions=[f"network:localhost:{https}", "network:rebound.example.org", f"file_read:{data}"],
    )
    (package / "__init__.py").write_text(FETCH)
    with workshop.kernel(flags={"isolation.default": "worker"}) as kernel:
        if kernel.isolation.host.tier == "C":
            pytest.skip("this host cannot hold a plugin to its permissions")
        for text in (f"network:localhost:{https}", "network:rebound.example.org"):
            kernel.permissions.grants.grant("tea", Permission.parse(text))
        tool = kernel.get("tools", "fetch")

        def call(how, **given):
            given = {"url": f"https://localhost:{https}/tea", "ca": authority[0].read_text(), "granted": https} | given
            return tool.call({"how": how, **given}).text

        assert kernel.registry.get("tea").isolation.startswith("worker")
        call.kernel, call.data = kernel, data
        yield call


def blocked(fetch):
    return [row.permission for row in fetch.kernel.permissions.audit.search(plugin="tea", outcome="blocked")]


@pytest.mark.parametrize("how", ["urllib", "requests", "httpx", "httpx_async"])
def test_clients_speak_tls_to_what_is_granted(fetch, https, how):
    if how != "urllib":
        pytest.importorskip(how.partition("_")[0])
    assert fetch(how) == f"/tea for localhost:{https}"


def test_nothing_else_is_reached(fetch, https, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for host, number in (
            *(("localhost", port), ("127.0.0.1", https), ("::1", https), ("127.1", https), ("::ffff:127.0.0.1", https)),
            *(("LOCALHOST.", https), ("example.org", 443), (socket.gethostname(), https), ("0.0.0.0", https)),
        ):
            assert fetch("connect", host=host, port=number).startswith("PermissionDeniedError:"), host
        assert f"network:localhost:{port}" in blocked(fetch)
        for client in ("urllib", "httpx"):
            redirected = fetch(client, url=f"https://localhost:{https}/go/https://localhost:{port}/")
            assert f"network:localhost:{port}" in redirected
        assert fetch("native").startswith("PermissionError")
        assert fetch("aim_again", port=port) == "held"
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.accept()
    assert fetch("connect", host="localhost", port=https) == "127.0.0.1"


def test_a_name_that_is_rebound_to_this_computer_is_refused(fetch, monkeypatch):
    real = socket.getaddrinfo

    def rebound(host, port, *args, **kwargs):
        if host == "rebound.example.org":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    said = fetch("connect", host="rebound.example.org", port=443)
    assert "the name leads to 127.0.0.1" in said
    assert blocked(fetch)[0] == "network:rebound.example.org"


def test_a_file_granted_after_the_worker_started_is_opened_through_the_kernel(fetch):
    path = fetch.data / "late.txt"
    path.write_text("late")
    assert "file_read" in fetch("read", path=str(path)) or "No such file" in fetch("read", path=str(path))
    fetch.kernel.permissions.grants.grant("tea", Permission.parse(f"file_read:{fetch.data}"))
    assert fetch("read", path=str(path)) == "late"
    assert fetch("read", path="/etc/shadow").startswith(("PermissionDeniedError", "FileNotFoundError"))
