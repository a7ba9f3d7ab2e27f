"""What writing a circuit in other operations costs, against a backend's own translation of it, in processor time.

Goal: no more than the translation for a backend that lacks some of the gates; next to nothing for one that lacks none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import proxima
from proxima.contracts.backend import RunRequest
from proxima.contracts.decomposition import decompose
from proxima.contracts.operations import Op
from proxima.paths import Paths
from proxima_execution.families import FAMILIES

KNOWN = {
    "all of them": set(Op),
    "u, cx": {Op.U, Op.CX, Op.MEASURE},
    "rz, sx, cx": {Op.RZ, Op.SX, Op.CX, Op.MEASURE},
}


def _least(call: Callable[[], object]) -> float:
    """The least processor time of many calls."""
    times = []
    for _ in range(25):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("family", ["qft", "brickwork", "qaoa"])
def test_decomposing_against_translating(tmp_path: Path, family: str) -> None:
    circuit = FAMILIES[family](24).measure_all().build()
    with proxima.open(paths=Paths.under(str(tmp_path))) as px:
        backend = px.get("backends", "qiskit-aer")
        request = RunRequest(circuit=circuit, options={"method": "statevector"})
        translating = _least(partial(backend.plan, request))
    for name, known in KNOWN.items():
        decomposing = _least(partial(decompose, circuit, known))
        after = len(decompose(circuit, known))
        print(
            f"\n{family:<10} {name:<12} {len(circuit)} to {after} operations   "
            f"decomposing/translating {decomposing / translating:.3f} (goal 1.00)"
        )
