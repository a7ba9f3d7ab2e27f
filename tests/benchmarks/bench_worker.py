"""What a worker costs: its start, against a bare fork of the same process, its memory while it is idle, and `evaluate`.

Goals at tier A: 15 ms from the request until it is locked, verified and ready to load, of which the lock with its
self-test takes 3 ms; at most 2 MiB of private memory for each idle worker, before what its plugin's own imports need.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from timing import interleaved

from proxima.sandbox.channel import Channel
from proxima.sandbox.expressions import evaluate, run_in_child
from proxima.sandbox.host import handshake
from proxima.sandbox.policy import SandboxPolicy, Tier, runtime_paths
from proxima.sandbox.probe import probe
from proxima.sandbox.rpc import Peer
from proxima.sandbox.shm import BufferPool
from proxima.sandbox.spawn import Forked, Zygote

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are locked on Linux only")

ROUNDS = 30
IDLE = 16


class Nursery:
    """A zygote, and workers of it that hold no plugin."""

    def __init__(self, root: Path, tier: Tier) -> None:
        self.root, self.tier = root, tier
        self.canary = root / "canary"
        self.canary.touch()
        self.zygote = Zygote(lambda stderr, pid: os.close(stderr))
        self.lock_seconds: list[float] = []
        self.count = 0

    def worker(self, imports: tuple[str, ...] = ()) -> tuple[Forked, Channel]:
        self.count += 1
        scratch = self.root / str(self.count)
        scratch.mkdir()
        policy = SandboxPolicy(
            plugin="bench", tier=self.tier, scratch=str(scratch), read=runtime_paths(), import_paths=imports
        )
        forked = self.zygote.spawn(policy, str(self.canary), "nonce")
        channel = Channel(forked.channel)
        self.lock_seconds.append(handshake(channel, forked, "nonce", policy))
        return forked, channel

    def end(self, forked: Forked, channel: Channel | None = None) -> None:
        if channel is not None:
            channel.close()
        forked.process.kill()
        forked.process.wait(5)
        self.zygote.reap(forked.process)
        os.close(forked.stdout)
        os.close(forked.stderr)


@pytest.fixture(params=["A", "B"])
def nursery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Nursery]:
    if (best := probe().tier) > request.param or (request.param == "B" and os.geteuid() == 0):
        pytest.skip(f"this user on this host: tier {best}")
    made = Nursery(tmp_path, request.param)
    yield made
    made.zygote.close()


def test_start(nursery: Nursery) -> None:
    nursery.end(*nursery.worker())  # starts the zygote
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        worker = nursery.worker()
        times.append(1000 * (time.perf_counter() - started))
        nursery.end(*worker)
        time.sleep(0.15)  # the next one is forked ahead, and the kernel takes namespaces down behind our back
    locks = [1000 * seconds for seconds in nursery.lock_seconds[1:]]
    print(
        f"\ntier {nursery.tier}: ready after {statistics.median(times):.1f} ms (least {min(times):.1f}; goal 15), "
        f"lock and self-test {statistics.median(locks):.1f} ms (least {min(locks):.1f}; goal 3); medians of {ROUNDS}"
    )


def test_idle_memory(nursery: Nursery) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may look into a worker's memory")
    workers = [nursery.worker() for _ in range(IDLE)]
    time.sleep(0.5)
    private, tables = (
        statistics.median(kib(forked.process.pid, *place) for forked, _ in workers) / 1024
        for place in (("smaps_rollup", "Private_Dirty"), ("status", "VmPTE"))
    )
    for worker in workers:
        nursery.end(*worker)
    print(
        f"\ntier {nursery.tier}: an idle worker has {private:.2f} MiB for itself (goal 2) and {tables:.2f} MiB of page "
        f"tables; medians of {IDLE}"
    )


PLUGIN = """
from proxima.hookspecs import hookimpl


class Plugin:
    @hookimpl
    def proxima_tools(self, kernel):
        return []


plugin = Plugin()
"""


def test_loaded_memory(nursery: Nursery, tmp_path: Path) -> None:
    """With a plugin that imports nothing of its own; but the first import by itself takes a part of it."""
    if os.geteuid() != 0:
        pytest.skip("only root may look into a worker's memory")
    code = tmp_path / "code"
    code.mkdir()
    (code / "trivial.py").write_text(PLUGIN)
    loaded = []
    for _ in range(IDLE):
        forked, channel = nursery.worker((str(code),))
        peer = Peer(channel, plugin="bench", buffers=BufferPool())
        peer.start()
        peer.call("load", {"target": "trivial:plugin", "kinds": ("tools",), "settings": {}})
        loaded.append((forked, peer))
    time.sleep(0.5)
    private = statistics.median(kib(forked.process.pid, "smaps_rollup", "Private_Dirty") for forked, _ in loaded)
    for forked, peer in loaded:
        peer.close()
        nursery.end(forked)
    print(f"\ntier {nursery.tier}: with a trivial plugin it has {private / 1024:.2f} MiB; median of {IDLE}")


def kib(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def test_evaluate() -> None:
    call = partial(evaluate, "shots / 2 if noisy else shots", {"shots": 1000, "noisy": True}, deadline=5)
    times = interleaved({"worker": call, "new process": partial(call, run=run_in_child)}, rounds=20)
    warm, cold = (1000 * statistics.median(times[name]) for name in ("worker", "new process"))
    print(f"\nevaluate: {warm:.2f} ms in the locked worker, {cold:.0f} ms in a new process; medians of 20")
