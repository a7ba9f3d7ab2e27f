"""Circuits without noise are counted by a quicker way, to the same end."""

from __future__ import annotations

import numpy as np
import pytest

from proxima.contracts.circuit import Circuit
from proxima_lret_core.counting import _Counter, counts_of


@pytest.mark.parametrize("seed", range(40))
def test_gates_alone_are_counted_as_with_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    builder = Circuit.builder(n)
    for kind, first in rng.integers(6, size=(60, 2)).tolist():
        a, b, c = (q % n for q in (first, first + 1, first + 2))
        if kind == 0:
            builder.h(a)
        elif kind == 1:
            builder.id(a).barrier()
        elif kind in (2, 3) and n > 1:
            builder.cx(a, b).rz(0.1, a).cz(b, a)
        elif kind == 4 and n > 2:
            builder.ccx(a, b, c)
    circuit = builder.measure_all().build()
    assert counts_of(circuit) == _Counter(circuit.without_final_measurements()).counts
