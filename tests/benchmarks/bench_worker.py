"""What a worker costs: its start, against a bare fork of the same process, its memory while it is idle, and `evaluate`.

Goals at tier A: 15 ms from the request until it is locked, verified and ready to load, of which the lock with its
self-test takes 3 ms; at most 2 MiB of private memory for each idle worker, beyond what its plugin's own imports need.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from timing import interleaved

from proxima.sandbox import zygote
from proxima.sandbox.channel import Channel
from proxima.sandbox.expressions import evaluate, run_in_child
from proxima.sandbox.host import handshake
from proxima.sandbox.imports import host_homes
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
    private = median_private(forked.process.pid for forked, _ in workers)
    tables = statistics.median(kib(forked.process.pid, "status", "VmPTE") for forked, _ in workers) / 1024
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

IMPORT_ALONE = """
import gc, importlib, importlib.util, json, os, sys, time
file, homes, code, count = sys.argv[1:]
spec = importlib.util.spec_from_file_location("zygote", file)
zygote = importlib.util.module_from_spec(spec)
spec.loader.exec_module(zygote)
gc.disable()
zygote._preload(json.loads(homes))
zygote._warm_up()
gc.collect()
gc.freeze()
for _ in range(int(count)):
    pid = os.fork()
    if pid == 0:
        sys.path.append(code)
        importlib.import_module("trivial")
        time.sleep(60)
        os._exit(0)
    print(pid, flush=True)
    time.sleep(0.05)
time.sleep(60)
"""


def test_loaded_memory(nursery: Nursery, tmp_path: Path) -> None:
    """A worker that has loaded a plugin, against what the same process takes that is forked and imports it, no more."""
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
    worker = median_private(forked.process.pid for forked, _ in loaded)
    for forked, peer in loaded:
        peer.close()
        nursery.end(forked)
    words = [sys.executable, "-I", "-S", "-B", "-c", IMPORT_ALONE, zygote.__file__, json.dumps(host_homes())]
    with subprocess.Popen([*words, str(code), str(IDLE)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(IDLE)]
        time.sleep(0.5)
        alone = median_private(pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.kill()
    print(
        f"\ntier {nursery.tier}: with a trivial plugin it has {worker:.2f} MiB: {worker - alone:.2f} MiB (goal 2) "
        f"beyond the {alone:.2f} MiB of a plain fork that imports it; medians of {IDLE}"
    )


def median_private(pids: Iterable[int]) -> float:
    """MiB that a process has for itself."""
    return statistics.median(kib(pid, "smaps_rollup", "Private_Dirty") for pid in pids) / 1024


def kib(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def test_evaluate() -> None:
    call = partial(evaluate, "shots / 2 if noisy else shots", {"shots": 1000, "noisy": True}, deadline=5)
    times = interleaved({"worker": call, "new process": partial(call, run=run_in_child)}, rounds=20)
    warm, cold = (1000 * statistics.median(times[name]) for name in ("worker", "new process"))
    print(f"\nevaluate: {warm:.2f} ms in the locked worker, {cold:.0f} ms in a new process; medians of 20")
