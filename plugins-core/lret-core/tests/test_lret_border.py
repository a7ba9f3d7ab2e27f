"""The native border: whatever is handed over, an error or an answer, never a crash."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima_lret_core import _native

SMALL = st.integers(-3, 6)
COLUMN = st.lists(SMALL, max_size=8)


def go_on(rank: int, spent: float) -> bool:
    return True


def plan(
    ops: list[int], q_off: list[int], qubits: list[int], p_off: list[int], params: list[float], payloads: list[int],
    matrices: list[np.ndarray], n: int, *, fresh: bool = True, last: bool = True,
) -> _native.Plan:  # fmt: skip
    return _native.make_plan(
        np.array(ops, dtype=np.uint8),
        np.array(q_off, dtype=np.int32),
        np.array(qubits, dtype=np.int32),
        np.array(p_off, dtype=np.int32),
        np.array(params, dtype=np.float64),
        np.array(payloads, dtype=np.int32),
        matrices,
        n,
        fresh,
        last,
    )


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.integers(0, 255), max_size=7), COLUMN, COLUMN, COLUMN, st.lists(st.floats(), max_size=6), COLUMN,
    st.lists(st.sampled_from([1, 2, 3, 4, 8]), max_size=3), st.integers(-1, 6), st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_columns(
    ops: list[int], q_off: list[int], qubits: list[int], p_off: list[int], params: list[float], payloads: list[int],
    sizes: list[int], n: int, fresh: bool, last: bool,
) -> None:  # fmt: skip
    matrices = [np.stack([np.eye(size, dtype=np.complex128)]) for size in sizes]
    try:
        made = plan(ops, q_off, qubits, p_off, params, payloads, matrices, n, fresh=fresh, last=last)
    except ValueError:
        return
    factor = _native.make_factor(n, True, 1, 1e6)
    factor.grant(0.1, made.error)
    factor.advance(made, 0, [], go_on)
    assert factor.trace() <= 1 + 1e-3


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_columns_that_nearly_fit(data: st.DataObject) -> None:
    """Rows of the right shape with one number off, which random columns hardly ever come to."""
    n = data.draw(st.integers(1, 4))
    rows = data.draw(st.lists(st.tuples(st.integers(0, 90), st.lists(st.integers(0, n), max_size=3),
                                        st.lists(st.floats(-0.1, 1.1), max_size=4)), max_size=6))  # fmt: skip
    ops = [op for op, _, _ in rows]
    q_off = [0, *np.cumsum([len(q) for _, q, _ in rows]).tolist()]
    p_off = [0, *np.cumsum([len(p) for _, _, p in rows]).tolist()]
    qubits = [q for _, listed, _ in rows for q in listed]
    params = [p for _, _, listed in rows for p in listed]
    try:
        made = plan(ops, q_off, qubits, p_off, params, [0] * len(ops), [np.stack([np.eye(2, dtype=complex)])], n)
    except ValueError:
        return
    factor = _native.make_factor(n, False, 1, 1e6)
    factor.grant(0.1, made.error)
    factor.advance(made, 0, [], go_on)
    assert factor.trace() == pytest.approx(1 - factor.spent, abs=1e-9)
    density = _native.make_density(n, True, 1, 1e6)
    density.advance(made.superops(0, n), go_on)
    assert density.trace() == pytest.approx(1, abs=1e-5)
    shots = _native.make_trajectories(n, 2, True, 1, 20, 1)
    shots.advance(made, 0, go_on)
    states, columns = shots.samples(go_on)
    assert len(states) == len(columns) == 20
    assert (states < 2**n).all()
    assert (columns < shots.count).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.pauli(1 << 5, 0, go_on), "beyond the last qubit"),
        (lambda f: f.reduced([0, 0], go_on), "listed twice"),
        (lambda f: f.reduced([3], go_on), "out of range"),
        (lambda f: f.project(-1, 0, 1.0), "out of range"),
        (lambda f: f.absorb(f), "not of one kind"),
        (lambda f: f.absorb(_native.make_factor(2, False, 1, 1e6)), "not of one kind"),
        (lambda f: f.grant(float("nan"), 0.0), "budget"),
        (lambda f: f.charge(-1.0), "weight"),
        (lambda f: f.scale_budget(2.0), "share"),
        (lambda f: f.limit(float("nan")), "bytes"),
        (lambda f: f.advance(plan([1], [0, 1], [3], [0, 0], [], [-1], [], 4), 0, [], go_on), "for more qubits"),
        (lambda f: _native.make_factor(0, True, 1, 1e6), "from 1 to 40"),
        (lambda f: _native.make_factor(2, True, 1, -1.0), "bytes"),
    ],
)
def test_calls_that_make_no_sense(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call(_native.make_factor(2, True, 1, 1e6))


def test_columns_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError):
        _native.make_plan(*(np.zeros(2, dtype=np.float32) for _ in range(6)), [], 1, True, True)  # type: ignore[arg-type]


def factor(n: int = 2, *, single: bool = False) -> _native.Factor:
    return _native.make_factor(n, single, 1, 1e6)


def shots(n: int = 2, bits: int = 1, *, single: bool = False) -> _native.Trajectories:
    return _native.make_trajectories(n, bits, single, 1, 10, 0)


EMPTY = plan([], [0], [], [0], [], [], [], 2)
WIDE = plan([60], [0, 5], [0, 1, 2, 3, 4], [0, 0], [], [0], [np.eye(32, dtype=complex)[None]], 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _native.make_density(21, True, 1, 1e6), "1 to 20 qubits"),
        (lambda: _native.make_density(2, True, 1, float("nan")), "bytes"),
        (lambda: _native.make_density(3, True, 1, 1e6).advance(EMPTY.superops(0, 2), go_on), "other qubits"),
        (lambda: plan([1], [0, 1], [3], [0, 0], [], [-1], [], 4).superops(0, 2), "for more qubits"),
        (lambda: WIDE.superops(0, 5), "acts on 5 qubits"),
        (lambda: _native.make_density(2, True, 1, 1e6).project(0, 0, 1.5), "share"),
        (lambda: _native.make_density(2, True, 1, 1e6).absorb(factor()), "not of one kind"),  # type: ignore[arg-type]
        (lambda: _native.make_factor(21, True, 1, 1e9).density(1, 1e6, go_on), "at most 20 qubits"),
        (lambda: factor().advance(EMPTY, 0, [1.0], go_on), "one limit for each unit"),
        (lambda: factor().project(0, 0, -0.5), "share"),
        (lambda: _native.make_trajectories(2, -1, True, 1, 1, 0), "classical bits"),
        (lambda: _native.make_trajectories(2, 1, True, 1, 2**41, 0), r"2\^40 shots"),
        (lambda: _native.make_trajectories(41, 1, True, 1, 1, 0), "from 1 to 40"),
        (lambda: shots().advance(plan([1], [0, 1], [3], [0, 0], [], [-1], [], 4), 0, go_on), "for more qubits"),
        (lambda: shots().measure(2, 0, 0.0, 0.0, go_on), "out of range"),
        (lambda: shots().measure(0, 1, 0.0, 0.0, go_on), "out of range"),
        (lambda: shots().measure(0, 0, 0.0, float("nan"), go_on), "chance"),
        (lambda: shots().split([1, 1], go_on), "one mark for each column"),
        (lambda: shots().absorb(shots(3), go_on), "not of one kind"),
        (lambda: shots().absorb(shots(single=True), go_on), "not of one kind"),
        (lambda: shots().add(factor(3), 5, [0], go_on), "not of the same kind"),
        (lambda: shots().add(factor(single=True), 5, [0], go_on), "not of the same kind"),
        (lambda: shots().add(factor(), 5, [0, 0], go_on), "not of the same kind"),
        (lambda: _native.mix(np.zeros((3, 3, 2)), [], go_on), "square matrix"),
        (lambda: _native.mix(np.zeros((2, 2, 2)), [([1], [1.0] * 4)], go_on), "not there"),
        (lambda: _native.mix(np.zeros((2, 2, 2)), [([0], [1.0] * 3)], go_on), "one or two qubits"),
    ],
)
def test_states_of_every_kind_refuse_what_makes_no_sense(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_density_matrix_needs_its_memory() -> None:
    with pytest.raises(MemoryError):
        _native.make_density(10, False, 1, 8 * 4**10 - 1.0)
    with pytest.raises(MemoryError):
        factor(6).density(1, 3 * 8 * 4**6 - 1.0, go_on)


def test_cancelled_in_every_kind() -> None:
    def stop(columns: int, spent: float) -> bool:
        return False

    for call in (
        lambda: _native.make_density(2, True, 1, 1e6).reduced([0, 1], stop),
        lambda: shots().measure(0, 0, 0.0, 0.0, stop),
        lambda: factor().density(1, 1e6, stop),
    ):
        with pytest.raises(_native.Cancelled):
            call()
