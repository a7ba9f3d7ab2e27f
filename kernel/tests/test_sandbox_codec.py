"""Contract values as data and back, and what a hostile worker may put in their place."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from proxima.contracts.agent import AgentMessage
from proxima.contracts.algorithm import AlgorithmResult
from proxima.contracts.backend import Estimate, Plan, Probe, RunContext, RunRequest
from proxima.contracts.circuit import Circuit, Parameter
from proxima.contracts.execution import ComparedRun, Comparison, RunOptions
from proxima.contracts.features import Features, features_of
from proxima.contracts.llm import ChatChunk, ChatMessage, ToolCall
from proxima.contracts.mcp_server import MCPServer
from proxima.contracts.noise import NoiseModel, NoiseRule
from proxima.contracts.observable import PauliSum
from proxima.contracts.operations import Op
from proxima.contracts.readout import ReadoutError
from proxima.contracts.records import RecordSummary, RunRecord
from proxima.contracts.result import Candidate, CircuitInfo, ErrorBound, Expectation, Gradient, RunResult, Selection
from proxima.contracts.theme import Theme
from proxima.contracts.tool import ToolDefinition, ToolResult
from proxima.contracts.view import Action, Form, Group, Plot, Table, Text
from proxima.errors import PluginError, UsageError
from proxima.sandbox.carried import CARRIED
from proxima.sandbox.codec import Encoded, decode
from proxima.sandbox.encoding import DTYPES, INLINE, MAX_DEPTH, MAX_INLINE
from proxima.sandbox.errors import ProtocolError


def sent(value: object) -> tuple[Any, bytearray | None]:
    """The value as the other side gets it."""
    encoded = Encoded(value)
    memory = bytearray(encoded.size) if encoded.size else None
    if memory is not None:
        encoded.place(memory)
    return msgpack.unpackb(msgpack.packb(encoded.data, strict_types=True)), memory


def crossed(value: object, expected: Any = Any) -> Any:
    data, memory = sent(value)
    return decode(data, expected, memory)


def same(a: object, b: object) -> bool:
    """Equality that looks into arrays and dataclasses, and at types."""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.shape == b.shape
            and a.dtype.newbyteorder("=") == b.dtype
            and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        )
    if dataclasses.is_dataclass(a) and not isinstance(a, Circuit):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return type(a) is type(b) and a == b


def bell(n: int = 2) -> Circuit:
    return Circuit.builder(n, n).append(Op.H, (0,), ()).append(Op.CX, (0, 1), ()).measure_all().build()


RESULT = RunResult(
    backend="b",
    method="statevector",
    precision="double",
    shots=10,
    seed=2**63 - 1,
    counts={"00": 4, "11": 6},
    samples=np.array([[0, 0], [1, 1]], dtype=np.uint8),
    statevector=np.array([1, 0, 0, 1j], dtype=np.complex64) / np.float32(np.sqrt(2)),
    density_matrix=np.eye(4, dtype=np.complex128) / 4,
    probabilities=np.array([0.5, 0, 0, 0.5]),
    expectations=(Expectation("ZZ", 1.0, 0.0, math.inf),),
    gradients=(Gradient("ZZ", ("b", "a"), np.array([0.5, -2.0]), "parameter_shift", np.array([0.0, math.inf])),),
    error_bound=ErrorBound("sampling", 0.1),
    timings={"total": 0.25},
    peak_rss_bytes=1 << 30,
    versions={"engine": "1.2"},
    notes=("a note",),
    circuit=CircuitInfo("bell", 2, 2, 4, 3, "ab" * 32),
    selection=Selection(
        "b", "fastest", (Candidate("b", True, "ok", math.inf, 1 << 100, "m"), Candidate("c", False, "no"))
    ),
)
OPTIONS = RunOptions(noise=NoiseModel.parse("depolarizing:0.01"), observables=(PauliSum.parse("0.5*ZZ - XI"),), seed=1)
REQUEST = RunRequest(circuit=bell(), wants=("counts", "expectation"), options={"method": "m", "n": [1, {"a": (2, 3)}]})
VALUES: list[Any] = [
    RESULT,
    REQUEST,
    OPTIONS,
    RunRequest(circuit=bell(3), shots=None, observables=(PauliSum.parse("ZZZ"),)),
    RunRequest(
        circuit=Circuit.builder(1).ry(Parameter("a", 2.0), 0).build(),
        wants=("gradient",),
        observables=(PauliSum.parse("Z"),),
        parameters={"a": 0.5},
    ),
    Estimate(True, "fits", "m", 16 << 100, {"gate": 300, "amplitude": 2**90 * 300, "run": 1.5}),
    Probe("not_installed", "missing", "pip install it", {"a": "1"}),
    Plan(backend="b", request=REQUEST, method="m", native=17, timings={"import": 0.5}),
    features_of(bell()),
    ComparedRun("b", RESULT, distance=0.1),
    Comparison((ComparedRun("b", None, "failed"),), "incomplete", "one ran"),
    RecordSummary("id", 1.5, "bell", 2, "b", None, 0.1),
    RunRecord(circuit=bell(), options=OPTIONS, result=RESULT),
    NoiseModel(
        (
            NoiseRule(Op.BIT_FLIP, (0.1,), frozenset({"h", "cx"}), frozenset({0, 3})),
            NoiseRule(Op.KRAUS, kraus=(((0j, 1j), (1 + 0j, 0j)),), gate_qubits=frozenset({(1,)}), positions=(0,)),
        ),
        {None: ReadoutError(0.1, 0.2), 3: ReadoutError(0.0, 1.0)},
    ),
    AlgorithmResult(math.nan, {"grad": np.arange(3.0), "$": "dollar"}, (1.0, math.inf, 0.5)),
    ToolDefinition("t", "does", {"type": "object", "properties": {"n": {"type": "integer"}}}, ("network",)),
    ToolResult("text", {"rows": [[1, None], [b"x", True]], 3: {4: 5}}, failed=True),
    Theme("t", True, {"primary": "#ffffff"}),
    MCPServer("s", ("run", "it"), {"A": "b"}),
    ChatMessage("user", "hello"),
    ChatMessage("assistant", "", tool_calls=(ToolCall("1", "brew", '{"cups": 2}'),)),
    ToolCall("2", "pour", "{}"),
    ChatChunk("x"),
    AgentMessage("tool_call", "x", {"a": 1}),
    Group(
        (
            Text("a\x1b[31m"),
            Table(("a", "b"), ((1, "x"), (math.nan, 2.5))),
            Plot((1.0, 2.0), {"y": (math.nan, 1.0)}),
            Form({"type": "object"}, "go", {"n": 1}),
            Group((Action("go", "Go"),), "inner"),
        ),
        "outer",
    ),
    bell(),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_contract_value_crosses_unchanged(value: Any) -> None:
    assert same(crossed(value, type(value)), value)
    assert same(crossed(value), value)  # where anything may come


def test_every_carried_type_is_among_the_values() -> None:
    assert {type(value).__name__ for value in VALUES} | {
        *("PauliSum", "NoiseRule", "ReadoutError", "ErrorBound", "Expectation", "Gradient", "Candidate"),
        *("Selection", "CircuitInfo"),
        *("Text", "Table", "Plot", "Form", "Action"),
    } >= CARRIED.keys()


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | npst.arrays(
        st.sampled_from([np.dtype(name) for name in sorted(DTYPES)]), npst.array_shapes(min_dims=0, max_dims=3)
    ),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.just("$") | st.integers() | st.binary(), inner)
    ),
    max_leaves=15,
)


@given(plain)
@settings(deadline=None)
def test_plain_data_crosses_unchanged(value: object) -> None:
    assert same(crossed(value), value)


@given(
    npst.arrays(st.sampled_from([np.dtype(k) for k in (">f8", ">i4", "<c16", "|b1")]), npst.array_shapes(max_dims=3))
)
@settings(deadline=None)
def test_arrays_cross_whatever_their_order_and_strides(array: np.ndarray) -> None:
    for view in (array.T, array[::-1], array[..., ::2]):
        got = crossed(view)
        assert got.flags.c_contiguous
        assert got.flags.writeable
        assert got.flags.owndata or got.base.flags.owndata
        assert same(view, got)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("fortran", [False, True])
def test_large_arrays_lie_in_shared_memory(dtype: str, fortran: bool) -> None:
    array = (np.arange(INLINE * 2).reshape(128, -1) % 2).astype(dtype, order="F" if fortran else "C")
    encoded = Encoded({"a": array, "b": array[:2], "c": b"x" * INLINE})
    assert array.nbytes <= encoded.size
    assert len(msgpack.packb(encoded.data)) < 3 * INLINE
    got = crossed({"a": array, "b": array[:2], "c": b"x" * INLINE})
    assert same(got["a"], np.ascontiguousarray(array))
    assert same(got["b"], np.ascontiguousarray(array[:2]))
    assert got["c"] == b"x" * INLINE


def test_many_small_arrays_spill_into_shared_memory() -> None:
    arrays = [np.full(INLINE // 16, k, dtype=np.float64) for k in range(100)]
    encoded = Encoded(arrays)
    assert len(msgpack.packb(encoded.data)) < 2 * MAX_INLINE
    assert same(crossed(arrays), arrays)


def test_numpy_scalars_become_python_numbers() -> None:
    values = [np.float64(1.5), np.int64(3), np.bool_(True), np.complex64(1j), np.str_("x")]
    assert same(crossed(values), [1.5, 3, True, 1j, "x"])
    result = dataclasses.replace(RESULT, shots=np.int64(4), counts={"0": np.int64(3)}, timings={"total": np.float32(1)})  # type: ignore[arg-type]
    assert crossed(result, RunResult).counts == {"0": 3}


def test_a_million_counts_cross() -> None:
    counts = {format(k, "021b"): k + 1 for k in range(1 << 16)}
    result = dataclasses.replace(RESULT, counts=counts)
    data, memory = sent(result)
    assert memory is not None
    assert decode(data, RunResult, memory).counts == counts


def test_a_list_in_the_place_of_a_tuple_is_accepted() -> None:
    request = dataclasses.replace(REQUEST, wants=["counts"])  # type: ignore[arg-type]
    assert crossed(request, RunRequest).wants == ("counts",)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: 1,
        RunContext(),
        1 << 5000,
        np.array([object()], dtype=object),
        np.array(["text"]),
        np.zeros(2, dtype=[("a", "i4")]),
        np.array([1], dtype="M8[s]"),
        np.zeros(2, dtype=np.longdouble),
        ValueError("x"),
        range(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refuses_to_encode_what_is_not_carried(value: object) -> None:
    with pytest.raises(UsageError, match="cannot be sent"):
        Encoded([value])


def test_refuses_to_encode_what_never_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UsageError, match="nested deeper"):
        Encoded(loop)


def test_a_class_of_the_same_name_is_not_carried() -> None:
    @dataclasses.dataclass
    class Text:
        text: str

    with pytest.raises(UsageError):
        Encoded(Text("x"))


def gradient(values: Any, errors: Any = None) -> dict[str, Any]:
    """A gradient by one parameter, as it is written."""
    fields = {"observable": "Z", "parameters": ["a"], "values": values, "method": "m", "standard_errors": errors}
    return {"$": "Gradient", **fields}


def array(**changes: object) -> dict[str, object]:
    return {"$": "array", "d": "<f8", "s": [2], "b": bytes(16)} | changes


def without(data: dict[str, object], *keys: str) -> dict[str, object]:
    return {key: value for key, value in data.items() if key not in keys}


SHARED = without(array(), "b")
BAD_ARRAYS = [
    array(s=[math.nan]),
    array(s=[2.0]),
    array(s=[True, 2]),
    array(s=[-2]),
    array(s=[-1, -2]),
    array(s=[2**62]),
    array(s=[2**40, 2**40]),
    array(s=[0, 2**47, 2**47], b=b""),
    array(s=[1] * 33),
    array(s=[3]),
    array(s=[1]),
    array(s="2"),
    array(s=None),
    array(s={"a": 1}),
    array(d="|O"),
    array(d="O"),
    array(d="<U4"),
    array(d="<M8[s]"),
    array(d=">f8"),
    array(d="f8"),
    array(d="<f16"),
    array(d=["<f8"]),
    array(d=None),
    array(d=b"<f8"),
    array(b=bytes(15)),
    array(b="x" * 16),
    array(b=None),
    array(b={"$": "bytes", "n": 16, "o": 0}),
    without(array(), "s"),
    without(array(), "d"),
    without(array(), "b"),
    array(extra=1),
    SHARED | {"o": 0},
    SHARED | {"o": -8},
    SHARED | {"o": 2**70},
    SHARED | {"o": 0.0},
    SHARED | {"o": None},
]


@pytest.mark.parametrize("data", BAD_ARRAYS, ids=str)
@pytest.mark.parametrize("expected", [Any, np.ndarray])
def test_refuses_an_array_that_is_not_one(data: object, expected: Any) -> None:
    with pytest.raises(ProtocolError):
        decode(data, expected)


@pytest.mark.parametrize(("offset", "length"), [(-8, 1), (8, 9), (64, 1), (63, 1), (2**63, 1), (0, 2**47), (0, 9)])
def test_refuses_an_array_outside_its_buffer(offset: int, length: int) -> None:
    with pytest.raises(ProtocolError):
        decode(SHARED | {"o": offset, "s": [length]}, Any, bytearray(64))


def test_refuses_to_copy_more_than_the_buffer_holds() -> None:
    part = SHARED | {"o": 0, "s": [8]}
    assert len(decode([part], Any, bytearray(64))) == 1
    with pytest.raises(ProtocolError, match="overlap"):
        decode([part, part], Any, bytearray(64))
    octets = {"$": "bytes", "n": 64, "o": 0}
    with pytest.raises(ProtocolError, match="overlap"):
        decode([octets, octets], Any, bytearray(64))


def test_what_is_decoded_no_longer_depends_on_the_buffer() -> None:
    state = np.zeros(2**13, dtype=np.complex128)
    state[0] = 1
    data, memory = sent({"state": state, "text": b"a" * INLINE, "circuit": bell()})
    assert memory is not None
    got = decode(data, Any, memory)
    memory[:] = b"\xff" * len(memory)
    assert same(got["state"], state)
    assert got["text"] == b"a" * INLINE
    assert got["circuit"] == bell()


def test_an_array_of_bool_holds_nothing_but_0_and_1() -> None:
    got = decode({"$": "array", "d": "|b1", "s": [4], "b": b"\x00\x01\x02\xff"})
    assert got.view(np.uint8).tolist() == [0, 1, 1, 1]
    assert np.count_nonzero(got) == 3


BAD_VALUES: list[Any] = [
    {"$": "Nope"},
    {"$": "object"},
    {"$": "Circuit"},
    {"$": "Circuit", "v": b""},
    {"$": "Circuit", "v": "text"},
    {"$": "Circuit", "v": b"PXCIRC\x00\x01\xff\xff\xff\xff"},
    {"$": "Circuit", "v": bell().to_bytes()[:-1]},
    {"$": None},
    {"$": 3},
    {"$": ["list"]},
    {"$": "list"},
    {"$": "list", "v": 3},
    {"$": "list", "v": {}},
    {"$": "set", "v": [[{}]]},
    {"$": "set", "v": [{}]},
    {"$": "dict", "v": [[1]]},
    {"$": "dict", "v": [[{}, 1]]},
    {"$": "dict", "v": [3]},
    {"$": "dict", "v": None},
    {"$": "int", "v": "7"},
    {"$": "int", "v": bytes(513)},
    {"$": "complex", "v": [1.0]},
    {"$": "complex", "v": [1, "x"]},
    {"$": "bytes", "n": 5, "o": 0},
    {"$": "bytes", "n": -5, "o": 0},
    {"$": "bytes", "n": math.inf, "o": 0},
    {"$": "Text"},
    {"$": "Text", "text": 3},
    {"$": "Text", "text": "a", "more": 1},
    {"$": "Text", "txt": "a"},
    {b"key": 1},
    msgpack.ExtType(3, b""),
    msgpack.Timestamp(1, 1),
    object(),
]


@pytest.mark.parametrize("data", BAD_VALUES, ids=lambda data: str(data).partition(" at 0x")[0])
def test_refuses_a_value_that_is_not_one(data: object) -> None:
    with pytest.raises(ProtocolError):
        decode(data)
    with pytest.raises(PluginError):
        decode([[data]])


@pytest.mark.parametrize("leaf", [[], {}, {"$": "list", "v": []}, {"$": "Group", "parts": [], "title": ""}], ids=str)
def test_refuses_deep_nesting(leaf: Any) -> None:
    data = leaf
    for _ in range(MAX_DEPTH + 1):
        outer = copy.copy(leaf)
        if isinstance(outer, list):
            outer.append(data)
        else:
            outer["parts" if outer.get("$") == "Group" else "v" if "$" in outer else "a"] = [data]
        data = outer
    with pytest.raises(ProtocolError, match="nested"):
        decode(data)


BAD_RESULTS: list[dict[str, object]] = [
    {"backend": 3},
    {"backend": None},
    {"precision": "quad"},
    {"precision": ["double"]},
    {"shots": -1},
    {"shots": 1.5},
    {"shots": True},
    {"seed": -1},
    {"seed": 2**63},
    {"seed": {"$": "int", "v": bytes(300)[:-1] + b"\x01"}},
    {"counts": {"0": -1}},
    {"counts": {"0": 1.5}},
    {"counts": {"0": "1"}},
    {"counts": {"0x": 1}},
    {"counts": {"0": 1, "11": 2}},
    {"counts": [["0", 1]]},
    {"counts": {"$": "counts"}},
    {"counts": {"$": "counts", "keys": b"0110", "values": {"$": "array", "d": "<i8", "s": [3], "b": bytes(24)}}},
    {"counts": {"$": "counts", "keys": b"0101", "values": {"$": "array", "d": "<i8", "s": [2], "b": bytes(16)}}},
    {"counts": {"$": "counts", "keys": b"\xff\xfe", "values": {"$": "array", "d": "<i8", "s": [2], "b": bytes(16)}}},
    {"counts": {"$": "counts", "keys": b"", "values": {"$": "array", "d": "<i8", "s": [0], "b": b""}}},
    {"samples": array()},
    {"samples": {"$": "array", "d": "|u1", "s": [4], "b": bytes(4)}},
    {"samples": {"$": "array", "d": "|u1", "s": [1, 2], "b": b"\x01\x02"}},
    {"statevector": array()},
    {"statevector": {"$": "array", "d": "<c16", "s": [3], "b": bytes(48)}},
    {"statevector": {"$": "array", "d": "<c16", "s": [0], "b": b""}},
    {"statevector": {"$": "array", "d": "<c16", "s": [], "b": bytes(16)}},
    {"statevector": {"$": "array", "d": "<c16", "s": [1, 2], "b": bytes(32)}},
    {"statevector": {"$": "array", "d": "<c16", "s": [2], "b": np.array([math.nan, 0, 1, 0]).tobytes()}},
    {"statevector": {"$": "array", "d": "<c8", "s": [2], "b": np.array([math.inf, -math.inf, 1, 0], "f4").tobytes()}},
    {"density_matrix": {"$": "array", "d": "<c16", "s": [2, 4], "b": bytes(128)}},
    {"probabilities": {"$": "array", "d": "<f4", "s": [2], "b": bytes(8)}},
    {"probabilities": {"$": "array", "d": "<f8", "s": [2], "b": np.array([math.inf, 0]).tobytes()}},
    {"expectations": [{"$": "ErrorBound", "kind": "exact", "value": 0.0}]},
    {
        "expectations": [
            {"$": "Expectation", "observable": "Z", "value": math.nan, "variance": None, "standard_error": 0.0}
        ]
    },
    {"gradients": [gradient(array())]},
    {"gradients": [gradient({"$": "array", "d": "<f8", "s": [1], "b": np.array([math.nan]).tobytes()})]},
    {"gradients": [gradient({"$": "array", "d": "<f8", "s": [2], "b": bytes(16)})]},
    {"gradients": [gradient({"$": "array", "d": "<f8", "s": [1], "b": bytes(8)}, errors=array())]},
    {"error_bound": {"$": "ErrorBound", "kind": "exact", "value": math.inf}},
    {"error_bound": {"$": "ErrorBound", "kind": "surely", "value": 0.0}},
    {"error_bound": None},
    {"timings": {"total": math.nan}},
    {"timings": {"total": "1"}},
    {"timings": {"$": "dict", "v": [[1, 1.0]]}},
    {"timings": []},
    {"peak_rss_bytes": -1},
    {"versions": {"a": 1}},
    {"notes": "text"},
    {"notes": [1]},
    {"circuit": {"$": "Selection", "chosen": "", "reason": "", "candidates": []}},
    {"surprise": 1},
]


@pytest.mark.parametrize("changes", BAD_RESULTS, ids=str)
def test_refuses_a_result_that_misleads(changes: dict[str, object]) -> None:
    data, _ = sent(RESULT)
    assert same(decode(data, RunResult), RESULT)
    with pytest.raises(ProtocolError):
        decode(data | changes, RunResult)


_KRAUS = NoiseRule(Op.KRAUS, kraus=(((0j, 1j), (1 + 0j, 0j)),))


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        (NoiseRule(Op.BIT_FLIP, (0.1,)), {"channel": int(Op.H)}),
        (NoiseRule(Op.BIT_FLIP, (0.1,)), {"params": [0.1, 0.2]}),
        (_KRAUS, {"kraus": [[[{"$": "complex", "v": [math.inf, 0.0]}]]]}),
        (_KRAUS, {"kraus": [[[1.0, 0.0], [0.0, 1.0]]]}),
        (_KRAUS, {"kraus": []}),
    ],
)
def test_refuses_a_noise_rule_that_makes_no_sense(rule: NoiseRule, changes: dict[str, object]) -> None:
    data, _ = sent(rule)
    with pytest.raises(ProtocolError, match="NoiseRule"):
        decode(data | changes, NoiseRule)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(RunResult)])
def test_refuses_a_result_without_a_field(field: str) -> None:
    data, _ = sent(RESULT)
    with pytest.raises(ProtocolError, match="RunResult"):
        decode(without(data, field), RunResult)


@pytest.mark.parametrize(
    "bad",
    [
        Estimate(True, memory_bytes=-1),
        Estimate(True, work={"gate": -1.0}),
        Estimate(True, work={"gate": math.inf}),
        Estimate(True, work={"gate": math.nan}),
        PauliSum(()),
        PauliSum(((1.0, ""),)),
        PauliSum(((1.0, "Z"), (1.0, "ZZ"))),
        PauliSum(((1.0, "Q"),)),
        PauliSum(((math.inf, "Z"),)),
        Table(("a",), (("x", "y"),)),
        Plot((1.0,), {"y": (1.0, 2.0)}),
        Probe("maybe"),  # type: ignore[arg-type]
        dataclasses.replace(REQUEST, wants=("everything",)),  # type: ignore[arg-type]
        dataclasses.replace(REQUEST, shots=-5),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_refuses_a_value_that_makes_no_sense(bad: Any) -> None:
    with pytest.raises(ProtocolError, match=type(bad).__name__):
        crossed(bad, type(bad))


@pytest.mark.parametrize(
    "expected", [str, int, bool, float, bytes, None, tuple[int, ...], RunResult, Features, Circuit]
)
def test_refuses_another_type_than_was_asked_for(expected: Any) -> None:
    for value in ("text", 5, True, 2.5, b"x", None, ["a"], {"a": 1}, RESULT, bell(), np.zeros(2)):
        if expected in (type(value), None) and (expected is not None or value is None):
            continue
        if expected is float and type(value) is int:
            continue
        with pytest.raises(ProtocolError):
            crossed(value, expected)


def test_one_wrong_byte_never_crashes_the_decoder() -> None:
    """Every single byte of a real message replaced by a few others: a value, or a protocol error."""
    packed = msgpack.packb(sent(dataclasses.replace(RESULT, samples=None))[0])
    refused = 0
    for at in range(len(packed)):
        for value in (0x00, 0x7F, 0x80, 0xC1, 0xFF):
            try:
                decode(msgpack.unpackb(packed[:at] + bytes([value]) + packed[at + 1 :]), RunResult)
            except (ProtocolError, ValueError) as error:
                refused += isinstance(error, ProtocolError)
    assert refused > 500


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["$", "v", "n", "o", "d", "s", "b"]), inner)
        | st.builds(
            lambda tag, rest: rest | {"$": tag},
            st.sampled_from(["list", "dict", "set", "array", "bytes", "int", "complex", "Circuit", *CARRIED]),
            st.dictionaries(st.sampled_from(["v", "n", "o", "d", "s", "b"]), inner),
        )
    ),
    max_leaves=8,
)


def replaced(data: Any, path: list[int], by: object) -> Any:
    """The data with the part at a path replaced; each step is taken modulo what there is."""
    if not path or not isinstance(data, dict | list) or not data:
        return by
    if isinstance(data, list):
        at = path[0] % len(data)
        return [*data[:at], replaced(data[at], path[1:], by), *data[at + 1 :]]
    key = sorted(data, key=str)[path[0] % len(data)]
    return {**data, key: replaced(data[key], path[1:], by)}


@given(
    st.integers(0, len(VALUES) - 1), st.lists(st.integers(0, 50), min_size=1, max_size=5), junk, st.binary(max_size=200)
)
@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
def test_a_part_replaced_by_anything_gives_a_value_or_a_protocol_error(
    which: int, path: list[int], by: object, memory: bytes
) -> None:
    value = VALUES[which]
    data = replaced(sent(value)[0], path, by)
    for expected in (type(value), Any):
        with suppress(ProtocolError):
            decode(data, expected, bytearray(memory))


def test_keys_that_collide_are_refused_before_they_are_compared() -> None:
    keys = itertools.islice(itertools.product((-1, -2), repeat=16), 2000)  # hash(-1) == hash(-2)
    for colliding in ({"$": "dict", "v": [[list(key), None] for key in keys]}, {"$": "set", "v": [[-1, -2]] * 2000}):
        with pytest.raises(ProtocolError, match="same hash"):
            decode(colliding)
    assert len(decode({"$": "dict", "v": [[n, None] for n in range(5000)]})) == 5000


def test_a_number_beyond_floating_point_is_none() -> None:
    huge = {"$": "int", "v": (2**4000).to_bytes(512, "little", signed=True)}
    assert decode(huge, int) == 2**4000
    with pytest.raises(ProtocolError, match="a number"):
        decode(huge, float)
