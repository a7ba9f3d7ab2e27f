import signal
import threading
import time

import pytest

from proxima.errors import PermissionDeniedError, PluginBrokenError, PluginDisabledError, StorageError
from proxima.events import PluginStateChanged

from_hook = """
from proxima.hookspecs import hookimpl

class Greet:
    name = "tea"

class Other:
    name = "tea"

class Plugin:
    BODY

plugin = Plugin()
"""


def hook(body):
    return from_hook.replace("BODY", "@hookimpl\n    " + body)


NOT_GIVEN = "asking it for its commands raised TypeError: proxima_commands gave no plug_tea.Greet named 'tea'"
BROKEN = {
    "its import raises": ("raise RuntimeError('no\\nwater')", "importing it raised RuntimeError: no"),
    "its import raises without a message": ("raise KeyError", "importing it raised KeyError"),
    "its import calls sys.exit": ("import sys; sys.exit(0)", "importing it raised SystemExit: 0"),
    "its import raises a base exception": ("raise GeneratorExit", "importing it raised GeneratorExit"),
    "a library is missing": (
        "import no_such_library",
        "importing it raised ModuleNotFoundError: No module named 'no_such_library'",
    ),
    "it is no Python": ("def def", "importing it raised SyntaxError: invalid syntax"),
    "it recurses": ("def f():\n    f()\nf()", "importing it raised RecursionError: maximum recursion depth exceeded"),
    "it holds no such object": ("", "importing it raised AttributeError: module 'plug_tea' has no attribute 'plugin'"),
    "its error cannot be shown": (
        "class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E",
        "importing it raised plug_tea.E: <exception str() failed>",
    ),
    "its error is long and no text": (
        "raise ValueError('\\udc80' * 10 ** 6)",
        "importing it raised ValueError: \udc80",
    ),
    "it hangs": (
        "import time\nwhile True:\n    time.sleep(0.01)",
        "importing it raised TimeoutError: importing it took",
    ),
    "it hangs and catches what comes": (
        "import time\nfor _ in 'ab':\n  try:\n    time.sleep(9)\n  except Exception:\n    pass\nraise KeyError(1)",
        "importing it raised KeyError: 1",
    ),
    "there is no such hook": (
        hook("def proxima_teapots(self): return []"),
        "importing it raised pluggy._manager.PluginValidationError: unknown hook 'proxima_teapots'",
    ),
    "the hook takes another argument": (
        hook("def proxima_commands(self, core): return []"),
        "importing it raised pluggy._manager.PluginValidationError: Plugin 'tea' for hook 'proxima_commands'",
    ),
    "the hook raises": (
        hook("def proxima_commands(self): return 1 / 0"),
        "asking it for its commands raised ZeroDivisionError: division by zero",
    ),
    "the hook hangs": (
        hook("def proxima_commands(self):\n        import time; time.sleep(30)"),
        "asking it for its commands raised TimeoutError: asking it for its commands took longer than 0.3 s",
    ),
    "the hook is not there": (
        from_hook.replace("BODY", "pass"),
        f"{NOT_GIVEN}, which the manifest declares, but nothing",
    ),
    "the hook is not marked": (
        from_hook.replace("BODY", "def proxima_commands(self): return [Greet()]"),
        "asking it for its commands raised TypeError: proxima_commands gave no plug_tea.Greet",
    ),
    "the hook gives no list": (
        hook("def proxima_commands(self): return 5"),
        "asking it for its commands raised TypeError: 'int' object is not iterable",
    ),
    "the hook gives another class": (
        hook("def proxima_commands(self): return [Other()]"),
        f"{NOT_GIVEN}, which the manifest declares, but plug_tea.Other",
    ),
    "the hook gives another name": (
        hook("def proxima_commands(self):\n        Greet.name = 'x'\n        return [Greet()]"),
        NOT_GIVEN,
    ),
    "the hook gives too much": (
        hook("def proxima_commands(self): return [Greet(), Other()]"),
        "asking it for its commands raised TypeError: proxima_commands gave 2 objects, the manifest declares 1",
    ),
    "the hook asks for what it is to give": (
        hook("def proxima_commands(self, kernel): return [kernel.get('commands', 'tea')]"),
        "asking it for its commands raised RecursionError",
    ),
    "a thread of it waits for the kernel": (
        hook(
            "def proxima_commands(self, kernel):\n        import contextlib, threading\n"
            "        def wait():\n            with contextlib.suppress(Exception):\n"
            "                kernel.get('commands', 'tea')\n"
            "        t = threading.Thread(target=wait, daemon=True)\n        t.start()\n        t.join()"
        ),
        "asking it for its commands raised TimeoutError: asking it for its commands took longer than 0.3 s",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_faulty_plugin_is_named_quarantined_and_harms_no_other(workshop, fault):
    code, reason = BROKEN[fault]
    workshop.lay_out("tea", code)
    workshop.lay_out("milk")
    with workshop.kernel(flags={"plugins.import_seconds": 0.3}) as kernel:
        started = time.monotonic()
        with pytest.raises(PluginBrokenError) as caught:
            kernel.get("commands", "tea")
        assert time.monotonic() - started < 10
        assert str(caught.value).startswith(f"plugin tea is broken: {reason}")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000
        assert (caught.value.exit_code, caught.value.plugin) == (3, "tea")
        assert "proxima plugin info tea" in caught.value.hint
        record = kernel.registry.get("tea")
        assert record.state == "broken"
        assert "Traceback (most recent call last)" in record.traceback or len(record.traceback) == 50_000
        assert kernel.get("commands", "milk").name == "milk"
        with pytest.raises(PluginBrokenError):
            kernel.get("commands", "tea")
    ran = workshop.imported()
    assert ran.count("tea") <= 1
    with workshop.kernel() as later:
        assert later.registry.get("tea").state == "broken"
        assert later.registry.get("tea").reason.startswith(reason.encode(errors="backslashreplace").decode())
        assert [c.name for c in later.contributions("commands")] == ["milk"]
        with pytest.raises(PluginBrokenError):
            later.get("commands", "tea")
    assert workshop.main("tea")[0] == 3
    assert workshop.imported() == ran
    assert signal.getitimer(signal.ITIMER_REAL)[1] == 0
    assert workshop.main("plugin", "info", "tea")[0] == 0


def test_enabling_lifts_the_quarantine(workshop):
    workshop.lay_out("tea", "raise RuntimeError('no water')")
    assert workshop.main("tea")[0] == 3
    assert "RuntimeError: no water" in workshop.main("plugin", "info", "tea")[1]
    assert workshop.main("plugin", "enable", "tea")[:2] == (0, "tea: enabled\n")
    assert workshop.main("tea")[0] == 3
    assert workshop.imported() == ["tea", "tea"]


def test_a_changed_build_lifts_the_quarantine(workshop):
    workshop.lay_out("tea", "raise RuntimeError('no water')")
    assert workshop.proxima("tea").returncode == 3
    workshop.lay_out("tea")
    assert workshop.proxima("tea").stdout == "hello\n"


def test_a_plugin_mended_and_enabled_works_in_the_same_session(workshop):
    workshop.lay_out("tea", hook("def proxima_commands(self, core): return []"))
    with workshop.kernel() as kernel:
        with pytest.raises(PluginBrokenError):
            kernel.get("commands", "tea")
        workshop.lay_out("tea")
        from importlib import invalidate_caches
        from sys import modules

        invalidate_caches()
        modules.pop("plug_tea")
        kernel.registry.set_enabled("tea", True)
        assert kernel.get("commands", "tea").name == "tea"
        assert kernel.registry.get("tea").state == "running"


def test_a_keyboard_interrupt_is_the_users_and_not_the_plugins_fault(workshop):
    workshop.lay_out("tea", "raise KeyboardInterrupt")
    with workshop.kernel() as kernel:
        with pytest.raises(KeyboardInterrupt):
            kernel.get("commands", "tea")
        assert kernel.registry.get("tea").state == "enabled"
    assert workshop.main("tea") == (130, "", "proxima: interrupted\n")
    assert workshop.states() == {"tea": "enabled"}


def test_an_error_of_our_tree_passes_and_does_not_quarantine(workshop):
    full = "def proxima_commands(self):\n        from proxima import errors\n        raise errors.StorageError('full')"
    workshop.lay_out("tea", hook(full))
    with workshop.kernel() as kernel:
        with pytest.raises(StorageError, match="full"):
            kernel.get("commands", "tea")
        assert kernel.registry.get("tea").state == "running"
    assert workshop.main("tea") == (1, "", "proxima: error: full\n")
    assert workshop.states() == {"tea": "enabled"}


def test_a_plugin_whose_quarantine_cannot_be_written_is_broken_all_the_same(workshop, caplog):
    workshop.lay_out("tea", "raise RuntimeError('no water')")
    workshop.home.mkdir()
    (workshop.home / "state").write_text("a file where a directory should be")
    with workshop.kernel() as kernel, pytest.raises(PluginBrokenError, match="no water"):
        kernel.get("commands", "tea")
    assert "that tea is broken cannot be remembered" in caplog.text


def test_nothing_is_imported_before_it_is_used_and_then_once(workshop):
    workshop.lay_out("tea")
    workshop.lay_out("milk")
    with workshop.kernel() as kernel:
        assert [c.name for c in kernel.contributions("commands")] == ["milk", "tea"]
        assert workshop.imported() == []
        assert kernel.get("commands", "tea") is kernel.get("commands", "tea")
    assert workshop.imported() == ["tea"]


def test_state_changes_are_published(workshop):
    workshop.lay_out("tea")
    workshop.lay_out("milk", "raise RuntimeError('sour')")
    with workshop.kernel() as kernel:
        kernel.get("commands", "tea")
        with pytest.raises(PluginBrokenError):
            kernel.get("commands", "milk")
        kernel.registry.set_enabled("tea", False)
        with pytest.raises(PluginDisabledError):
            kernel.get("commands", "tea")
        kernel.registry.set_enabled("tea", True)
        assert kernel.get("commands", "tea").name == "tea"
        seen = [(e.plugin, e.state, e.detail) for e in kernel.events.replay(PluginStateChanged)]
    assert seen == [
        ("tea", "running", ""),
        ("milk", "broken", "importing it raised RuntimeError: sour"),
        ("tea", "disabled", "turned off"),
        ("tea", "enabled", ""),
        ("tea", "running", ""),
    ]


def test_several_threads_activate_a_plugin_once(workshop):
    slow = "def proxima_commands(self):\n        import time; time.sleep(0.05)\n        return [Greet()]"
    workshop.lay_out("tea", hook(slow))
    got = []
    with workshop.kernel() as kernel:
        threads = [threading.Thread(target=lambda: got.append(kernel.get("commands", "tea"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(got) == 8
    assert len(set(map(id, got))) == 1
    assert workshop.imported() == ["tea"]


def test_the_time_limit_gives_back_an_alarm_that_was_set_before(workshop):
    workshop.lay_out("tea")
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    outer = signal.setitimer(signal.ITIMER_REAL, 100.0)
    try:
        with workshop.kernel() as kernel:
            kernel.get("commands", "tea")
        assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
        assert signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL
    finally:
        signal.setitimer(signal.ITIMER_REAL, *outer)
        signal.signal(signal.SIGALRM, before)
    assert rang == []


def test_a_third_party_plugin_is_denied_what_nobody_granted(workshop):
    use = "def proxima_commands(self, kernel):\n        kernel.permissions.use('tea', 'subprocess')\n        return []"
    workshop.lay_out("tea", hook(use), permissions=["subprocess"])
    with workshop.kernel() as kernel, pytest.raises(PermissionDeniedError, match="tea was denied subprocess"):
        kernel.get("commands", "tea")
    code, _, err = workshop.main("tea")
    assert code == 4
    assert "tea was denied subprocess" in err
    assert workshop.states() == {"tea": "enabled"}


def test_a_first_party_plugin_has_what_it_declares_and_no_more(workshop):
    workshop.lay_out("results", distribution="proxima-results", permissions=["subprocess"])
    workshop.lay_out("execution", distribution="not-ours", permissions=["subprocess"])
    workshop.lay_out("milk", distribution="proxima-milk", permissions=["subprocess"])
    with workshop.kernel() as kernel:
        kernel.permissions.use("results", "subprocess")
        with pytest.raises(PermissionDeniedError, match="its manifest does not declare it"):
            kernel.permissions.use("results", "gpu")
        with pytest.raises(PermissionDeniedError, match="milk was denied subprocess"):
            kernel.permissions.use("milk", "subprocess")
        with pytest.raises(PermissionDeniedError, match="does not declare"):
            kernel.permissions.use("execution", "subprocess")
