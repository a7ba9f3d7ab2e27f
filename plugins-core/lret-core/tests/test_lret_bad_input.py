"""What cannot be run says so, and what to do."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from lret_circuits import brick, random_kraus

import proxima_lret_core as lret
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.noise import NoiseModel, NoiseRule
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import CircuitError, ResourceError, UnsupportedError, UsageError

BELL = Circuit.builder(2, 2).h(0).cx(0, 1).build()
NOISY = NoiseModel.parse("depolarizing:0.01").apply(brick(10))


@pytest.mark.parametrize("tolerance", [0.0, -1.0, 1.5, math.nan, math.inf])
def test_tolerance_out_of_range(tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance"):
        lret.run(BELL, tolerance=tolerance)


def test_unknown_precision() -> None:
    with pytest.raises(UsageError, match="half"):
        lret.run(BELL, precision="half")  # type: ignore[arg-type]


def test_open_parameter() -> None:
    with pytest.raises(UsageError, match="theta"):
        lret.run(Circuit.builder(1).rx(Parameter("theta"), 0).build())


def test_noise_on_a_qubit_that_does_not_exist() -> None:
    noise = NoiseModel((NoiseRule(Op.BIT_FLIP, (0.1,), qubits=frozenset({5})),))
    with pytest.raises(UsageError, match="qubit 5; the circuit has 2"):
        lret.run(BELL, noise=noise)
    with pytest.raises(UsageError, match="qubit 7"):
        lret.run(BELL, readout={7: ReadoutError(0.1, 0.1)})


@pytest.mark.parametrize("values", [(1.1, 0.0), (0.0, -0.1), (math.nan, 0.0)])
def test_readout_error_out_of_range(values: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="outside"):
        ReadoutError(*values)


def test_a_channel_that_is_not_trace_preserving_says_how_far_off() -> None:
    with pytest.raises(CircuitError, match=r"trace preserving; it is off by 0\.1"):
        Circuit.builder(1).kraus([math.sqrt(0.9) * np.eye(2)], 0).build()


def test_kraus_operators_on_too_many_qubits() -> None:
    circuit = Circuit.builder(5).kraus(random_kraus(5, 2, np.random.default_rng(0)), 0, 1, 2, 3, 4).build()
    with pytest.raises(UnsupportedError, match="at most 4 qubits"):
        lret.run(circuit)


def test_forty_qubits_are_refused_before_memory_is_taken() -> None:
    circuit = Circuit.builder(40).h(0).build()
    tracemalloc.start()
    with pytest.raises(ResourceError, match="140,737,488,355,328 bytes"):
        lret.run(circuit)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    with pytest.raises(UnsupportedError, match="41"):
        lret.run(Circuit.builder(41).h(0).build())


def test_memory_that_does_not_suffice_says_which_tolerance_would() -> None:
    with pytest.raises(ResourceError, match="bytes") as caught:
        lret.run(NOISY, tolerance=1e-4, precision="double", memory=4_000_000)
    assert caught.value.hint is not None
    assert "a tolerance of" in caught.value.hint
    state = lret.run(NOISY, tolerance=0.4, precision="double", memory=4_000_000)
    assert state.num_bytes <= 4_000_000
    assert state.bound <= 0.4


def test_a_tolerance_below_rounding_asks_for_double() -> None:
    with pytest.raises(UnsupportedError, match="single precision") as caught:
        lret.run(NOISY, tolerance=1e-7)
    assert caught.value.hint == "ask for double precision"
    with pytest.raises(UnsupportedError, match="double precision"):
        lret.run(NOISY, tolerance=1e-15, precision="double")


def test_questions_that_make_no_sense() -> None:
    state = lret.run(BELL)
    with pytest.raises(UsageError, match="spans 3 qubits"):
        state.expectation(PauliSum.parse("ZZZ"))
    for qubits in ([0, 0], [2], [-1]):
        with pytest.raises(UsageError, match="distinct"):
            state.reduced_density_matrix(qubits)
    with pytest.raises(UsageError, match="shots"):
        state.samples(-1)
    with pytest.raises(ResourceError, match="14 qubits"):
        lret.run(Circuit.builder(14).h(0).build()).density_matrix()
