"""What it costs to run Aer in a locked worker: the same circuit, in a worker and in this process, taking turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from timing import interleaved, ratio

from proxima.contracts.backend import RunContext, RunRequest
from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima_sdk.circuits import brickwork

ROUNDS = 7


@pytest.mark.parametrize("want", ["counts", "statevector"])
def test_sandboxed_aer(tmp_path: Path, want: Any) -> None:
    circuit = brickwork(20, 10, seed=1, measure=want == "counts")
    shots = 1024 if want == "counts" else None
    asked = RunRequest(circuit=circuit, shots=shots, wants=(want,), precision="double", seed=1)
    with (
        Kernel(paths=Paths.under(str(tmp_path / "here"))) as here,
        Kernel(paths=Paths.under(str(tmp_path / "there")), flags={"isolation.backend-qiskit-aer": "worker"}) as there,
    ):
        runs = {}
        for name, kernel in (("in-process", here), ("worker", there)):
            backend = kernel.get("backends", "qiskit-aer")
            runs[name] = lambda backend=backend: backend.run(backend.plan(asked), RunContext(threads=1))
        times = interleaved(runs, ROUNDS)
    costs = ratio(times, "worker", "in-process")
    print(
        f"\nAer, 20 qubits, {len(circuit)} operations, {want}: {costs:.3f} x in a locked worker (goal 1.05); "
        f"{min(times['in-process']) * 1e3:.0f} ms in-process"
    )
