"""The backend cuquantum against cuStateVec called directly, and against the quickest engine here on the CPU.

Brick-work circuits of rotations and cx, single precision, 1,024 shots, 24 to 30 qubits, in turns. Called directly means
one `apply_matrix` for each gate, without fusion, then the sampler: what a program without Proxima would do first.
The goals are a reckoning, since nobody has run this yet: no slower than the direct calls, and from 26 qubits on ten
times as fast as a CPU. A batch of 64 points of such a circuit is to be faster than one after the other.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from timing import interleaved, ratio

import proxima
from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima.contracts.features import features_of
from proxima_sdk.circuits import brickwork

SHOTS = 1024
CPU_SECONDS = 60.0  # a CPU run that is expected to take longer is left out


@pytest.fixture(scope="module")
def kernel() -> Any:
    with proxima.open() as opened:
        yield opened


def _cuquantum(kernel: Any) -> Any:
    pytest.importorskip("proxima_backend_cuquantum", reason="proxima-backend-cuquantum is not installed")
    backend = kernel.get("backends", "cuquantum")
    probe = backend.probe()
    if probe.state != "available":
        pytest.skip(f"cuquantum cannot run here: {probe.state}: {probe.reason}")
    return backend


def _direct(circuit: Circuit) -> Any:
    """The circuit by cuStateVec's functions alone, its gates translated beforehand."""
    import cupy
    from cuquantum.bindings import custatevec

    from proxima_backend_cuquantum.gates import gate_of

    n = circuit.num_qubits
    gates = [gate_of(step) for step in circuit.without_final_measurements()]
    handle = custatevec.create()
    state = cupy.empty(2**n, dtype=np.complex64)
    found = np.empty(SHOTS, dtype=np.int64)
    bits = list(range(n))

    def run() -> None:
        custatevec.initialize_state_vector(handle, state.data.ptr, 4, n, 0)
        for gate in gates:
            custatevec.apply_matrix(
                handle,
                state.data.ptr,
                4,  # CUDA_C_32F
                n,
                gate.matrix.ctypes.data,
                5,  # CUDA_C_64F
                1,  # by row
                0,
                list(gate.targets),
                len(gate.targets),
                list(gate.controls) if gate.controls else 0,
                0,
                len(gate.controls),
                0,
                0,
                0,
            )
        sampler, size = custatevec.sampler_create(handle, state.data.ptr, 4, n, SHOTS)
        room = cupy.cuda.alloc(size)
        custatevec.sampler_preprocess(handle, sampler, room.ptr, size)
        drawn = np.random.default_rng(1).random(SHOTS)
        custatevec.sampler_sample(handle, sampler, found.ctypes.data, bits, n, drawn.ctypes.data, SHOTS, 0)
        custatevec.sampler_destroy(sampler)
        cupy.cuda.get_current_stream().synchronize()

    return run


def _quickest_cpu(kernel: Any, request: RunRequest) -> tuple[str, Any]:
    """The other installed backend with the least estimate, if that is short enough."""
    found = []
    for contribution in kernel.contributions("backends"):
        if contribution.name == "cuquantum":
            continue
        backend = kernel.get("backends", contribution.name)
        if backend.probe().state != "available":
            continue
        estimate = backend.estimate(request, features_of(request.circuit))
        seconds = estimate.seconds(contribution.data["capabilities"].get("rates", {}))
        if estimate.feasible and seconds < CPU_SECONDS:
            found.append((seconds, contribution.name, backend))
    if not found:
        return "", None
    _, name, backend = min(found, key=lambda each: each[:2])
    return name, backend


@pytest.mark.parametrize("n", [24, 26, 28, 30])
def test_against_direct_calls_and_the_cpu(kernel: Any, n: int, capsys: pytest.CaptureFixture[str]) -> None:
    backend = _cuquantum(kernel)
    circuit = brickwork(n, 10)
    request = RunRequest(circuit=circuit, shots=SHOTS, seed=1)
    if not (told := backend.estimate(request, features_of(circuit))).feasible:
        pytest.skip(told.reason)
    calls = {
        "cuquantum": lambda: backend.run(backend.plan(request), RunContext()),
        "direct": _direct(circuit),
    }
    name, cpu = _quickest_cpu(kernel, request)
    if cpu is not None:
        calls[name] = lambda: cpu.run(cpu.plan(request), RunContext())
    times = interleaved(calls, 3)
    ratios = ", ".join(f"{ratio(times, other, 'cuquantum'):.3g} x {other}" for other in calls if other != "cuquantum")
    with capsys.disabled():
        print(f"\n{n} qubits: cuquantum {statistics.median(times['cuquantum']):.3g} s; {ratios}")
    assert ratio(times, "cuquantum", "direct") < 1.1
    if n >= 26 and cpu is not None:
        assert ratio(times, name, "cuquantum") > 10


@pytest.mark.parametrize("n", [8, 12, 16, 20])
def test_a_batch_against_one_after_the_other(kernel: Any, n: int, capsys: pytest.CaptureFixture[str]) -> None:
    backend = _cuquantum(kernel)
    requests = [RunRequest(circuit=brickwork(n, 10, seed=seed), shots=SHOTS, seed=seed) for seed in range(64)]
    first = backend.plan(requests[0])
    plans = [backend.bind(first, request) for request in requests]
    size = min(first.batch, len(plans))

    def together() -> None:
        for start in range(0, len(plans), size):
            backend.run_batch(plans[start : start + size], RunContext())

    calls: dict[str, Callable[[], object]] = {
        "batch": together,
        "loop": lambda: [backend.run(plan, RunContext()) for plan in plans],
    }
    gain = ratio(interleaved(calls, 3), "loop", "batch")
    with capsys.disabled():
        print(f"\n{n} qubits: {size} points at once are {gain:.3g} x as fast as one after the other")
    assert gain > 1
