"""What a plugin finds in its worker: its own directories, few names, fresh randomness, its settings, and no more."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from proxima.errors import PluginBrokenError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")


def ask(sandbox: Any, body: str, name: str = "one") -> Any:
    indented = body.replace("\n", "\n    ")
    sandbox.plugin(name, f"import json\n\n\ndef act(arguments):\n    {indented}\n    return json.dumps(found)")
    return json.loads(sandbox.call(name))


def test_the_environment_is_built_from_nothing(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    found = ask(sandbox, "found = dict(os.environ)")
    assert "hunter2" not in json.dumps(found)
    scratch = sandbox.worker("one").policy.scratch
    assert found["HOME"] == found["TMPDIR"] == scratch
    assert found["LANG"] == "C.UTF-8"
    assert not [key for key in found if key.startswith("PROXIMA")]


def test_it_has_its_channel_and_standard_streams_and_nothing_else_open(sandbox: Any) -> None:
    body = (
        "found = []\nfor fd in range(256):\n    try: os.fstat(fd)\n    except OSError: continue\n    found.append(fd)"
    )
    sandbox.plugin("other")
    sandbox.worker("other")
    found = ask(sandbox, body)
    assert found[:3] == [0, 1, 2]
    assert len(found) == 4


def test_temporary_files_go_to_its_own_directory(sandbox: Any) -> None:
    found = ask(sandbox, "import tempfile\nfound = [os.getcwd(), tempfile.mkdtemp()]")
    scratch = sandbox.worker("one").policy.scratch
    assert found[0] == scratch
    assert found[1].startswith(scratch)


def test_host_packages_are_there_and_the_kernel_is_not(sandbox: Any) -> None:
    body = (
        "import importlib\nfound = {}\n"
        "for name in ('numpy', 'numpy.polynomial', 'pluggy', 'proxima.contracts.circuit', 'proxima.kernel',\n"
        "             'proxima.permissions', 'proxima.storage', 'sqlite3', 'json', 'secrets'):\n"
        "    try: importlib.import_module(name); found[name] = ''\n"
        "    except ImportError as error: found[name] = str(error)"
    )
    found = ask(sandbox, body)
    hidden = {name: said for name, said in found.items() if said}
    assert set(hidden) == {"proxima.kernel", "proxima.permissions", "proxima.storage"}
    assert all("a sandboxed plugin cannot import it" in said for said in hidden.values())


def test_random_numbers_differ_between_workers(sandbox: Any) -> None:
    body = "import random, numpy\nfound = [random.random(), numpy.random.random(), numpy.random.default_rng().random()]"
    first, second = ask(sandbox, body, "one"), ask(sandbox, body, "two")
    assert not set(first) & set(second)


def test_it_is_held_to_its_threads(sandbox: Any) -> None:
    found = ask(sandbox, "found = [os.environ['OMP_NUM_THREADS'], threading.active_count() < 8]")
    assert found[0] == str(sandbox.worker("one").policy.threads)
    assert found[1]


KERNEL_USER = """
from proxima.hookspecs import hookimpl
from proxima.contracts.tool import ToolDefinition, ToolResult

class Act:
    name = "NAME"
    def __init__(self, kernel):
        self.kernel = kernel
    def definition(self):
        return ToolDefinition("NAME", "", {"type": "object"})
    def call(self, arguments):
        return ToolResult(repr(self.kernel.settings.get(arguments["key"])))

class Plugin:
    @hookimpl
    def proxima_tools(self, kernel):
        BODY
        return [Act(kernel)]

plugin = Plugin()
"""


def test_a_hook_gets_a_kernel_with_the_plugins_own_settings(sandbox: Any) -> None:
    sandbox.plugin("one", "pass", code=KERNEL_USER)
    sandbox.start()._settings = lambda record: {"colour": "red"}
    assert sandbox.call("one", key="plugins.one.colour") == "'red'"
    for key in ("plugins.two.colour", "plugins.import_seconds", "colour"):
        with pytest.raises(Exception, match="unknown setting") as caught:
            sandbox.call("one", key=key)
        assert type(caught.value).__name__ == "SettingsError"


def test_a_hook_that_wants_more_of_the_kernel_is_told(sandbox: Any) -> None:
    sandbox.plugin("one", "kernel.permissions", code=KERNEL_USER)
    with pytest.raises(PluginBrokenError, match="no attribute 'permissions'"):
        sandbox.worker("one")
    assert sandbox.kernel.registry.get("one").state == "broken"
    assert "proxima_tools" in sandbox.kernel.registry.get("one").traceback


def test_a_marked_method_that_is_no_hook_is_refused_as_in_process(sandbox: Any) -> None:
    code = KERNEL_USER.replace("proxima_tools(self, kernel)", "proxima_toolz(self, kernel)")
    sandbox.plugin("one", "pass", code=code)
    with pytest.raises(PluginBrokenError, match="proxima_toolz"):
        sandbox.worker("one")
