"""Sweeps and parts on clusters of one and two workers give what one process gives."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

import proxima
from proxima.contracts.circuit import Circuit, Parameter
from proxima.errors import DeadlineExceededError, NotFoundError


def rotation() -> Circuit:
    return Circuit.builder(2).ry(Parameter("theta"), 0).cx(0, 1).build()


@pytest.fixture(scope="module")
def clusters(environment):
    """Kernels whose executor ``dask`` has one and two workers."""
    with (
        proxima.open(flags={"plugins.executor-dask.workers": 1}) as one,
        proxima.open(flags={"plugins.executor-dask.workers": 2}) as two,
    ):
        yield one, two


def test_a_sweep_is_the_same_on_any_number_of_workers(clusters):
    angles = [0.05 * i for i in range(40)]
    bindings = [{"theta": angle} for angle in angles]
    asked = {"want": ["counts", "expectation:ZI"], "seed": 11, "shots": 200, "backend": "quest"}
    here = clusters[0].sweep(rotation(), bindings, **asked)
    assert [r.expectations[0].value for r in here] == pytest.approx([math.cos(a) for a in angles], abs=1e-12)
    for kernel in clusters:
        there = kernel.sweep(rotation(), bindings, executor="dask", **asked)
        assert [r.counts for r in there] == [r.counts for r in here]
        assert [r.seed for r in there] == [r.seed for r in here]
        assert [r.expectations[0].value for r in there] == pytest.approx(
            [r.expectations[0].value for r in here], abs=1e-13
        )


def test_trajectories_in_parts_are_the_same_on_any_number_of_workers(clusters):
    circuit = Circuit.builder(2, 2).h(0).cx(0, 1).measure_all().build()
    asked = {"noise": "bit_flip:0.05", "seed": 4, "shots": 4000, "parts": 8, "backend": "stim"}
    here = clusters[0].run(circuit, **asked)
    assert sum(here.counts.values()) == 4000
    # A flip of qubit 0 before cx flips both; so the bits differ where one of the two flips after it happened.
    odd = here.counts.get("01", 0) + here.counts.get("10", 0)
    assert odd / 4000 == pytest.approx(2 * 0.05 * 0.95, abs=0.024)  # 5 sigma
    for kernel in clusters:
        there = kernel.run(circuit, executor="dask", **asked)
        assert there.counts == here.counts
        assert there.id


def test_a_backends_errors_arrive_as_they_are(clusters):
    with pytest.raises(NotFoundError, match="there is no backend called 'qest'") as caught:
        clusters[1].sweep(rotation(), [{"theta": 0.1}] * 4, backend="qest", executor="dask")
    assert "did you mean quest" in caught.value.hint
    with pytest.raises(DeadlineExceededError):
        clusters[1].sweep(rotation(), [{"theta": 0.1}] * 4, backend="quest", deadline=1e-9, executor="dask")


def test_an_interrupt_ends_the_sweep_and_its_workers(environment, tmp_path):
    circuit = tmp_path / "rotation.qasm"
    circuit.write_text("OPENQASM 3.0; input float theta; qubit[16] q; ry(theta) q[0]; cx q[0], q[1];")
    output = tmp_path / "points.jsonl"
    words = ["sweep", str(circuit), "--param", "theta=0:3:3000", "--backend", "quest", "-o", str(output)]
    process = subprocess.Popen(
        [sys.executable, "-m", "proxima", *words, "--executor", "dask"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not output.exists() or output.read_bytes().count(b"\n") < 3:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to the workers, too
    _, error = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in error) == (130, False), error
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert len(workers) >= 2
    assert alive == []
