"""The child that waits at tier A to become the next worker."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxima.sandbox.errors import LockError
from proxima.sandbox.linux.lock import worker_holder, write_lock
from proxima.sandbox.linux.view import base_places, beyond_base, places
from proxima.sandbox.policy import SandboxPolicy, runtime_paths
from proxima.sandbox.probe import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

ACT = "def act(arguments):\n    return 1"


@pytest.fixture
def nursery(sandbox: Any) -> Any:
    if probe().tier != "A" or os.environ.get("PROXIMA_TEST_TIER", "A") != "A":
        pytest.skip("there is nothing to prepare below tier A")
    for name in ("one", "two", "three"):
        sandbox.plugin(name, ACT)
    sandbox.start()
    return sandbox


def until(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_the_next_worker_is_the_child_that_waits(nursery: Any) -> None:
    first = nursery.worker("one").pid
    ready = nursery.waiting()
    assert nursery.worker("two").pid == ready
    assert nursery.call("two") == "1"
    assert nursery.waiting() not in (first, ready)


def test_a_child_that_was_killed_while_it_waited_is_replaced(nursery: Any) -> None:
    nursery.worker("one")
    killed = nursery.waiting()
    os.kill(killed, signal.SIGKILL)
    assert until(lambda: gone(killed))
    assert nursery.worker("two").pid != killed
    assert nursery.call("two") == "1"
    assert not Path(f"/proc/{killed}").exists()  # it was waited for


def test_it_ends_with_the_zygote(nursery: Any) -> None:
    nursery.worker("one")
    pid = nursery.waiting()
    os.kill(nursery.supervisor.zygote.pid, signal.SIGKILL)
    assert until(lambda: gone(pid), 1.0)


def test_what_sees_the_system_otherwise_is_forked_anew(nursery: Any) -> None:
    nursery.worker("one")
    ready = nursery.waiting()
    policy = SandboxPolicy(plugin="x", tier="A", scratch="/tmp/x", read=runtime_paths(), subprocess=True)
    assert beyond_base(policy) is None
    forked = nursery.supervisor.zygote.spawn(policy, "/tmp/none", "nonce")
    try:
        assert forked.process.pid != ready
        assert nursery.waiting() == ready
    finally:
        forked.process.kill()
        forked.process.wait(5)
        nursery.supervisor.zygote.reap(forked.process)
        forked.channel.close()
        os.close(forked.stdout)
        os.close(forked.stderr)


def policy(**more: Any) -> SandboxPolicy:
    return SandboxPolicy(plugin="x", tier="A", scratch="/tmp/x/scratch", read=runtime_paths(), **more)


def test_what_a_policy_shows_is_the_base_and_what_is_beyond_it() -> None:
    for each in (policy(), policy(network=("example.org:443",)), policy(write=("/tmp/data",))):
        beyond = beyond_base(each)
        assert beyond is not None
        assert base_places()[0] | beyond == places(each)[0]
        assert "/tmp/x/scratch" in beyond


@pytest.mark.parametrize(
    "more", [{"subprocess": True}, {"import_paths": ("/usr/lib",)}, {"import_paths": ("/usr/local",)}]
)
def test_a_policy_that_changes_the_base_has_nothing_beyond_it(more: dict[str, Any]) -> None:
    assert beyond_base(policy(**more)) is None


def test_a_lock_that_goes_on_from_the_base_refuses_a_policy_that_it_was_not_made_for() -> None:
    holder = worker_holder("A", 1, os.getpid(), waited=True)
    with pytest.raises(LockError, match="root directory: this policy shows the system otherwise"):
        write_lock(policy(subprocess=True), holder)
    write_lock(policy(), holder)
