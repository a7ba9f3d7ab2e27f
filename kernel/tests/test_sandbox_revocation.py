"""What is taken back in another process ends the worker that had it, and the next one has less."""

import socket
import sys
import threading
import time

import pytest

from proxima.errors import PluginBrokenError, ProximaError
from proxima.permissions import Permission

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lock is Linux's")

CODE = """
import socket, time
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.hookspecs import hookimpl

kept = []


class Hold:
    name = "hold"

    def definition(self):
        return ToolDefinition("hold", "Holds on", {"type": "object"})

    def call(self, arguments):
        try:
            if "port" in arguments:
                kept.append(socket.create_connection(("localhost", arguments["port"])))
                return ToolResult("connected")
            with open(arguments["path"]) as file:
                return ToolResult(file.read())
        except PermissionError as error:
            return ToolResult(f"{type(error).__name__}: {error}", failed=True)


class Plugin:
    @hookimpl
    def proxima_tools(self):
        return [Hold()]

    @hookimpl
    def proxima_kernel_closing(self):
        time.sleep(60)  # to be heard out would take long


plugin = Plugin()
"""


class Held:
    """A running worker with a directory and a port granted."""

    def __init__(self, workshop, kernel, port):
        self.workshop, self.kernel, self.port = workshop, kernel, port
        self.data = workshop.root / "data"
        self.network, self.files = f"network:localhost:{port}", f"file_read:{self.data}"

    def call(self, **given):
        return self.kernel.get("tools", "hold").call(given).text

    def worker(self):
        return self.kernel.isolation.supervisor.running("tea")

    def elsewhere(self, *words):
        """Types it in another terminal; gives the time when it was done."""
        done = self.workshop.proxima("plugin", "permissions", "tea", *words)
        assert done.returncode == 0, done.stderr
        return time.monotonic()

    def ended(self, worker, since):
        while worker.alive and time.monotonic() < since + 5:
            time.sleep(0.005)
        assert not worker.alive
        return time.monotonic() - since


@pytest.fixture
def held(workshop):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    held = Held(workshop, workshop.kernel(flags={"isolation.default": "worker"}), listener.getsockname()[1])
    held.listener = listener
    (held.data / "private").mkdir(parents=True)
    (held.data / "x").write_text("content")
    (held.data / "private" / "x").write_text("secret")
    held.data.chmod(0o755)
    entry = {"name": "hold", "class": "plug_tea.Hold", "description": "Holds on"}
    package = workshop.lay_out(
        "tea", type="tool", entry_points={"tools": [entry]}, permissions=[held.network, held.files, "llm", "gpu"]
    )
    (package / "__init__.py").write_text(CODE)
    with held.kernel as kernel, listener:
        if kernel.isolation.host.tier == "C":
            pytest.skip("this host cannot hold a plugin to its permissions")
        for text in (held.network, held.files):
            kernel.permissions.grants.grant("tea", Permission.parse(text))
        yield held


@pytest.mark.parametrize("change", ["revoke", "reset"])
def test_a_permission_taken_back_in_another_process_ends_worker_and_connection(held, change):
    assert held.call(port=held.port) == "connected"
    worker = held.worker()
    connection, _ = held.listener.accept()
    connection.settimeout(10)
    since = held.elsewhere(change, held.network)
    with connection:
        assert connection.recv(1) == b""
    took = time.monotonic() - since
    held.ended(worker, since)
    print(f"{change} in another process: connection ended {took:.2f} s later")
    assert took < 3  # half a second where nothing else runs
    assert held.call(port=held.port).startswith("PermissionDeniedError")
    assert held.call(path=str(held.data / "x")) == "content"
    assert held.worker().pid != worker.pid


def test_of_a_directory_a_part_that_is_denied_is_kept_from_the_next_worker(held):
    secret = str(held.data / "private" / "x")
    assert held.call(path=secret) == "secret"
    worker = held.worker()
    held.ended(worker, held.elsewhere("revoke", f"file_read:{held.data / 'private'}"))
    try:
        said = held.call(path=secret)  # at tier B the plugin is refused, and tells so itself
    except PluginBrokenError as error:  # at tier A the file is not there for it
        said = error.hint or ""
        assert f"`proxima plugin permissions tea grant file_read:{secret}`" in said
    assert f"tea was denied file_read:{secret}" in said
    assert held.call(path=str(held.data / "x")) == "content"  # opened by the broker


def test_what_a_worker_starts_without_is_said_with_the_way_to_grant_it(held, caplog):
    held.call(path=str(held.data / "x"))
    (said,) = caplog.messages
    assert said == "tea starts without gpu; to allow it: `proxima plugin permissions tea grant gpu`."


def test_what_is_granted_or_denied_by_an_answer_ends_nothing(held):
    held.call(path=str(held.data / "x"))
    worker = held.worker()
    with pytest.raises(ProximaError, match="denied llm"):
        held.kernel.permissions.use("tea", "llm")  # nobody is there to ask
    held.elsewhere("grant", "llm")
    held.elsewhere()
    time.sleep(1.2)
    assert worker.alive


def test_what_is_taken_back_while_the_plugin_is_imported_ends_that_and_quarantines_nothing(held):
    path = held.workshop.site / "plug_tea" / "__init__.py"
    path.write_text(path.read_text() + "\nwhile True: time.sleep(0.05)\n")
    said = []

    def start():
        try:
            held.kernel.get("tools", "hold")
        except ProximaError as error:
            said.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    time.sleep(1)
    held.elsewhere("revoke", held.files)
    thread.join(10)
    assert not thread.is_alive()
    assert said == [f"plugin tea was stopped: it may no longer use {held.files}"]
    assert held.kernel.registry.get("tea").error() is None


def test_watching_costs_next_to_nothing(held):
    held.call(path=str(held.data / "x"))
    holding, rounds = held.worker().holding, 200
    start = time.process_time()
    for _ in range(rounds):
        assert holding.taken_back() == []
    cost = (time.process_time() - start) / rounds
    print(f"a look, twice a second for each worker: {1e6 * cost:.0f} us")
    assert cost < 0.005
