from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit, Condition, Parameter
from proxima.contracts.operations import Op
from proxima_execution.drawing import draw
from proxima_sdk.circuits import random


def test_draws_controls_targets_crossings_and_measurements():
    circuit = Circuit.builder(3, 1).h(0).cx(0, 2).rx(math.pi / 2, 1).measure(2, 0).build()
    assert draw(circuit, 80).splitlines() == [
        "q[0]: -H--o-----------",
        "          |",
        "q[1]: ----|--RX(pi/2)-",
        "          |",
        "q[2]: ----X----M:c0---",
    ]


def test_tells_the_order_of_qubits_conditions_and_open_parameters():
    circuit = (
        Circuit.builder(2, 2)
        .ecr(1, 0)
        .append(Op.RY, (1,), (Parameter("theta", 2.0),), condition=Condition((0, 1), 3))
        .build()
    )
    text = draw(circuit, 80)
    assert "q[0]: -ECR:1-" in text
    assert "RY(2*theta) if c0,c1 == 3" in text


def test_a_large_circuit_is_listed():
    circuit = Circuit.builder(40, 1).h(39).cx(0, 39).measure(0, 0).build()
    assert draw(circuit, 80).splitlines() == [
        "     0  h q[39]",
        "     1  cx q[0], q[39]",
        "     2  measure q[0] -> c0",
    ]


def test_a_listing_keeps_the_case_of_parameter_names():
    circuit = Circuit.builder(40).rx(Parameter("Theta"), 0).build()
    assert draw(circuit, 80) == "     0  rx(Theta) q[0]"


@given(st.integers(1, 8), st.integers(0, 60), st.integers(0, 2**31), st.integers(40, 120))
@settings(max_examples=50, deadline=None)
def test_every_line_fits_the_width(n, depth, seed, width):
    circuit = random(n, depth, seed=seed)
    assert max(map(len, draw(circuit, width).splitlines()), default=0) <= max(width, 40)


@pytest.mark.parametrize("circuit", [Circuit.builder(1).build(), Circuit.builder(2).barrier().build()])
def test_draws_circuits_that_do_nothing(circuit):
    assert draw(circuit, 80).startswith("q[0]: ")
