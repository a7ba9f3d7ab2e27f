"""Whatever is read, the outcome is a circuit or a `CircuitError`, soon."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit
from proxima.errors import CircuitError

VALID_2 = """OPENQASM 2.0;
include "qelib1.inc"; // comment
gate g(a,b) x,y { rx(a*pi/2-b^2) x; cx x,y; barrier x,y; u3(sin(a),-b,1e-3) y; }
opaque o(t) a;
qreg q[3]; creg c[3]; creg d[1];
g(0.5,.25) q[0],q[1]; h q; cx q[0],q[2];
if(c==5) x q[1]; measure q -> c; reset q[0]; rz(-3*pi/4) q[2];
"""
VALID_3 = """OPENQASM 3.0;
include "stdgates.inc";
input float[64] t; const int n = 2;
gate g(a) x, y { ctrl @ rx(2*a) x, y; gphase(a); inv @ s x; }
qubit[3] q; bit[2] c; let r = q[0:1] ++ q[{2}];
g(t/4) q[0], r[n]; pow(0.5) @ x q[1];
if (c == "01" && !c[1]) { x q[0]; } else { negctrl @ h q[0], q[1]; }
for int i in [0:2] rz(i*pi/4) q[i];
c[0] = measure q[0]; measure q[1] -> c[1]; reset q; barrier;
#pragma braket unitary([[1.0, 0], [0, 1.0im]]) q[0]
"""
PIECES = [
    "q", "c", "[0]", "[9]", ";", "{", "}", "(", ")", ",", "pi", "/0", "-", "^", "if(c==1)", "gate k a {", "measure",
    "->", "U(0,0,0)", "qreg", "1e999", "99999999999999999999", '"', "//", "\n", "include", "\0", "é", "@ ctrl", "inv @",
    "pow(1e9) @", "bit", "qubit[2]", "for int j in [0:9]", "==", "&&", "let", "**", "$1", "#pragma braket", "reset",
]  # fmt: skip


@st.composite
def mutated(draw, text):
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(st.sampled_from(["", *PIECES])) + text[stop:]
    return text


def outcome(load, text):
    try:
        result = load(text)
    except CircuitError:
        return
    assert isinstance(result, Circuit)


COMMON = settings(max_examples=400, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
SLOWER = settings(max_examples=150, deadline=10000, suppress_health_check=[HealthCheck.too_slow])


@COMMON
@given(mutated(VALID_2))
def test_mutated_openqasm2(load2, text):
    outcome(load2, text)


@COMMON
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join)))
def test_arbitrary_text_as_openqasm2(load2, text):
    outcome(load2, text)


@COMMON
@given(st.binary(max_size=200))
def test_arbitrary_bytes(load2, load3, data):
    outcome(load2, data)
    outcome(load3, data)


@SLOWER
@given(mutated(VALID_3))
def test_mutated_openqasm3(load3, text):
    outcome(load3, text)


@SLOWER
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join)))
def test_arbitrary_text_as_openqasm3(load3, text):
    outcome(load3, text)


@pytest.mark.parametrize("stop", range(0, len(VALID_2), 3))
def test_truncated_openqasm2(load2, stop):
    outcome(load2, VALID_2[:stop])
