"""What a process border costs: an empty call, and a statevector of 20 qubits against a plain copy of it.

Goals: an empty call takes at most 60 us in the median and its 99th percentile at most ten times that; a statevector of
16 MiB comes back in at most four times what copying it within the process takes.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from proxima.contracts.result import RunResult
from proxima.sandbox.channel import Channel
from proxima.sandbox.rpc import Peer
from proxima.sandbox.shm import BufferPool, MappedBuffers

N = 20


def _state() -> np.ndarray:
    rng = np.random.default_rng(5)
    state = rng.normal(size=2**N) + 1j * rng.normal(size=2**N)
    state /= np.linalg.norm(state)
    return state


def _work(fd: int) -> None:
    peer = Peer(Channel(socket.socket(fileno=fd)), plugin="bench", buffers=MappedBuffers())
    state = _state()
    result = RunResult(backend="b", method="m", precision="double", shots=None, seed=1, statevector=state)
    peer.serve("nothing", lambda arguments, call: None)
    peer.serve("state", lambda arguments, call: state)
    peer.serve("result", lambda arguments, call: result)
    peer.run()


@pytest.fixture
def peer() -> Iterator[Peer]:
    ours, theirs = socket.socketpair()
    with (
        theirs,
        subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()]) as worker,
    ):
        theirs.close()
        peer = Peer(Channel(ours), plugin="bench", buffers=BufferPool())
        peer.start()
        yield peer
        peer.close()
        worker.wait(10)


def test_empty_call(peer: Peer) -> None:
    from timing import seconds

    for _ in range(200):
        peer.call("nothing")
    times = np.array([seconds(lambda: peer.call("nothing")) for _ in range(5000)]) * 1e6
    median, late = np.median(times), np.percentile(times, 99)
    print(f"\nempty call: median {median:.0f} us (goal 60), p99 {late:.0f} us = {late / median:.1f} x (goal 10)")
    assert median < 1000


def test_statevector(peer: Peer) -> None:
    from timing import interleaved, ratio

    state, target = _state(), np.zeros(2**N, dtype=np.complex128)
    times = interleaved(
        {
            "array": lambda: peer.call("state", returns=np.ndarray),
            "RunResult": lambda: peer.call("result", returns=RunResult),
            "copy": lambda: np.copyto(target, state),
            "fresh copy": state.copy,
        },
        rounds=40,
    )
    for name in ("array", "RunResult"):
        print(
            f"\n2^{N} amplitudes as {name}: {np.median(times[name]) * 1e3:.1f} ms = {ratio(times, name, 'copy'):.2f} x "
            f"a copy into warm memory (goal 4), {ratio(times, name, 'fresh copy'):.2f} x a copy into fresh memory"
        )
    np.testing.assert_array_equal(peer.call("result", returns=RunResult).statevector, state)


if __name__ == "__main__":
    _work(int(sys.argv[1]))
