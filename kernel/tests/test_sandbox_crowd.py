"""Eight sandboxed plugins, 32 calls at once, and workers that crash, hang and are killed in the middle of them."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from typing import Any

import pytest

from proxima.errors import PluginError, ProximaError
from proxima.sandbox.errors import CrashedError, LimitError, ProtocolError

ROUNDS = int(os.environ.get("PROXIMA_CROWD_ROUNDS", "2"))

WELL = "time.sleep(0.02 * (arguments['number'] % 3))\n    return arguments['number'] * 2"
# What each plugin does, and what its callers may get where it does not answer.
PLUGINS: dict[str, tuple[str, tuple[type[ProximaError], ...]]] = {
    "good0": (WELL, ()),
    "good1": (f"threading.Thread(target=sum, args=(range(10**6),)).start()\n    {WELL}", ()),
    "good2": (f"np = __import__('numpy'); np.ones((300, 300)) @ np.ones((300, 300))\n    {WELL}", ()),
    "crashes": ("time.sleep(0.02)\n    os._exit(9)", (PluginError,)),
    "segfaults": ("time.sleep(0.02)\n    ctypes.string_at(0)", (PluginError,)),
    "hangs": ("time.sleep(120)", (LimitError, PluginError)),
    "killed": ("time.sleep(120)", (PluginError,)),
    "babbles": ("os.write(raw().fileno(), b'\\xff' * 64)\n    time.sleep(120)", (ProtocolError, PluginError)),
}


def usage(sandbox: Any) -> dict[str, Any]:
    """What is in use once all that is on its way out has left."""
    zygote = sandbox.supervisor.zygote.pid
    scratch = sandbox.supervisor._scratch.root

    def now() -> dict[str, Any]:
        gc.collect()
        return {
            "fds": len(os.listdir("/proc/self/fd")),
            "threads": threading.active_count(),
            "workers": len(sandbox.locked()),
            "zygote fds": len(os.listdir(f"/proc/{zygote}/fd")),
            "scratch": sum(not name.endswith(".trash") for name in os.listdir(scratch)),
        }

    before, deadline = now(), time.monotonic() + 10
    while time.monotonic() < deadline:
        time.sleep(0.3)
        if before == (before := now()):
            break
    return before


def all_at_once(sandbox: Any) -> dict[tuple[str, int], object]:
    """Four calls to each plugin; what came of each."""
    outcomes: dict[tuple[str, int], object] = {}
    together = threading.Barrier(33)

    def ask(name: str, number: int) -> None:
        together.wait(30)
        try:
            outcomes[name, number] = sandbox.call(name, number=number)
        except ProximaError as error:
            outcomes[name, number] = error

    threads = [threading.Thread(target=ask, args=(name, k)) for k in range(4) for name in PLUGINS]
    for thread in threads:
        thread.start()
    together.wait(30)
    deadline = time.monotonic() + 20
    while (worker := sandbox.supervisor.running("killed")) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    if worker is not None:
        os.kill(worker.pid, signal.SIGKILL)
    for thread in threads:
        thread.join(90)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


@pytest.mark.timeout(300)
def test_32_calls_to_8_plugins_some_of_which_fail_in_every_way(sandbox: Any) -> None:
    sandbox.limits = {"memory_bytes": 1 << 30, "wall_seconds": 6}
    for name, (body, _) in PLUGINS.items():
        sandbox.plugin(name, f"def act(arguments):\n    {body}")
    sandbox.start()
    for name in ("good0", "good1", "good2"):
        sandbox.call(name, number=0)
    well = {name: sandbox.worker(name).pid for name in ("good0", "good1", "good2")}
    before: dict[str, Any] = {}
    for _ in range(ROUNDS):
        outcomes = all_at_once(sandbox)
        assert len(outcomes) == 32
        for (name, number), outcome in outcomes.items():
            _, errors = PLUGINS[name]
            if not errors:
                assert outcome == str(number * 2)
                continue
            assert isinstance(outcome, errors), f"{name}: {outcome!r}"
            assert outcome.plugin == name  # type: ignore[attr-defined]
            assert name in str(outcome)
        assert any(isinstance(outcomes["killed", k], CrashedError) for k in range(4))
        assert any(isinstance(outcomes["babbles", k], ProtocolError) for k in range(4))
        assert {name: sandbox.worker(name).pid for name in well} == well
        for name in PLUGINS:
            if name not in well:
                sandbox.supervisor.restart(name)
                sandbox.supervisor._seat(name).crashes.clear()
                sandbox.kernel.registry.set_enabled(name, True)  # who failed three times is quarantined
        del sandbox.events[:]
        after = usage(sandbox)
        assert not before or after == before
        before = after
    assert before["scratch"] == before["workers"] + 1  # the canary
