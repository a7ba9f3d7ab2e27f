"""Cirq's JSON files: read with their noise model, run, written; what is none is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import cirq
import numpy as np
import pytest
import sympy

import proxima
from proxima.contracts.circuit import Circuit
from proxima.contracts.operations import Op
from proxima.errors import CircuitSyntaxError, ProximaError, UnsupportedError
from proxima.paths import Paths
from proxima_sdk import reference

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

from proxima_backend_lret_cirq.formats import CirqJson

Q = cirq.LineQubit.range(3)
BELL = cirq.Circuit(cirq.H(Q[0]), cirq.CX(*Q[:2]), cirq.measure(*Q[:2], key="m"))


def load(*parts: object) -> Circuit:
    written = cirq.to_json(parts[0] if len(parts) == 1 else list(parts))
    assert written is not None
    return CirqJson().load(written.encode(), source="file.json", directory=None)


def test_a_circuit() -> None:
    circuit = load(BELL)
    assert [(i.op, i.qubits, i.clbit) for i in circuit] == [
        (Op.H, (0,), -1),
        (Op.CX, (0, 1), -1),
        (Op.MEASURE, (0,), 0),
        (Op.MEASURE, (1,), 1),
    ]
    assert circuit.metadata["notes"] == ()


def test_a_circuit_and_its_noise_model() -> None:
    unmeasured = BELL[:-1]
    model = cirq.ConstantQubitNoiseModel(cirq.depolarize(0.05))
    circuit = load(unmeasured, model)
    exact = cirq.DensityMatrixSimulator(dtype=np.complex128).simulate(unmeasured.with_noise(model))
    # A Bell state with the same noise on both qubits looks alike in either order.
    assert np.allclose(reference.density_matrix(circuit), exact.final_density_matrix, atol=1e-12)
    assert "depolarize" in circuit.metadata["notes"][0]


def test_noise_after_the_last_measurement_is_left_out_and_the_note_says_so() -> None:
    circuit = load(BELL, cirq.ConstantQubitNoiseModel(cirq.depolarize(0.05)))
    assert not circuit.is_dynamic
    assert circuit.count_ops()["depolarizing"] == 4
    assert "left out" in circuit.metadata["notes"][1]
    used_again = cirq.Circuit(cirq.measure(Q[0], key="a"), cirq.depolarize(0.1)(Q[0]), cirq.measure(Q[0], key="b"))
    assert load(used_again).count_ops()["depolarizing"] == 1
    unmeasured = cirq.Circuit(cirq.measure(Q[0], key="a"), cirq.depolarize(0.1)(Q[1]))
    assert load(unmeasured).count_ops()["depolarizing"] == 1


def test_qubits_and_inverted_bits_are_told() -> None:
    a, b = cirq.GridQubit(0, 0), cirq.GridQubit(2, 1)
    circuit = load(cirq.Circuit(cirq.X(b), cirq.measure(b, key="m", invert_mask=(True,)), cirq.measure(a, key="n")))
    assert "q(0, 0), q(2, 1)" in circuit.metadata["notes"][0]
    assert reference.distribution(circuit) == {"00": 1.0}


def test_the_kernel_runs_a_file(tmp_path: Path) -> None:
    cirq.to_json([BELL, cirq.ConstantQubitNoiseModel(cirq.bit_flip(0.01))], str(tmp_path / "bell.json"))
    with proxima.open(paths=Paths.under(str(tmp_path / "home"))) as kernel:
        result = kernel.run(str(tmp_path / "bell.json"), backend="lret-cirq", shots=2000, seed=3, store=False)
    assert result.counts is not None
    assert result.counts["00"] + result.counts["11"] > 1800
    assert result.error_bound.kind == "trace_distance" or result.error_bound.value < 0.02
    assert any("noise model" in note for note in result.notes)


def test_symbols_are_open_parameters() -> None:
    circuit = load(cirq.Circuit(cirq.ry(sympy.Symbol("t"))(Q[0])))
    assert circuit.parameters == ("t",)
    assert np.allclose(np.abs(reference.statevector(circuit.bind({"t": np.pi}))), [0, 1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b'{"cirq_type": "Circuit"', "file.json:1:24: no JSON"),
        (b"\xff\xfe{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "it holds a list"),
        (b"3", "it holds a int"),
        (b'{"cirq_type": "NoSuch"}', "Could not resolve type 'NoSuch'"),
        (b'{"cirq_type": "Circuit"}', "Cirq cannot read it"),
        (cirq.to_json(Q).encode(), "it holds a LineQubit"),
        (cirq.to_json([BELL, BELL]).encode(), "a noise model, is expected, and it holds a Circuit"),
    ],
    ids=range(10),
)
def test_what_is_no_circuit_is_refused_with_its_place(data: bytes, words: str) -> None:
    with pytest.raises(CircuitSyntaxError, match=words) as refused:
        CirqJson().load(data, source="file.json", directory=None)
    assert "file.json" in str(refused.value)


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        (cirq.Circuit(cirq.rx(float("nan"))(Q[0])), "finite"),
        (cirq.Circuit(cirq.measure(Q[0], key="m", confusion_map={(0,): np.eye(2)})), "confusion map"),
        (cirq.Circuit(cirq.IdentityGate(qid_shape=(3,))(cirq.LineQid(0, 3))), "3 levels"),
    ],
    ids=["nan", "confusion", "qutrit"],
)
def test_what_cannot_be_translated_is_named(circuit: cirq.Circuit, words: str) -> None:
    with pytest.raises(ProximaError, match=words):
        load(circuit)


def test_a_circuit_is_written_as_cirq_reads_it() -> None:
    made = Circuit.builder(2, 2).h(0).cx(0, 1).rzx(0.3, 0, 1).measure_all().build()
    again = cirq.read_json(json_text=CirqJson().dump(made))
    assert again[0].operations[0] == cirq.H(Q[0])
    assert sorted(map(str, again.all_measurement_key_names())) == ["c[0]", "c[1]"]
    with pytest.raises(UnsupportedError, match="bit 1"):
        CirqJson().dump(Circuit.builder(1, 2).measure(0, 0).build())


@pytest.mark.parametrize("head", [b'{"cirq_type": "Circuit"', b'\n[\n {"cirq_type"', b' {\n  "cirq_type"'])
def test_recognises_its_own(head: bytes) -> None:
    assert CirqJson().recognises(head)


@pytest.mark.parametrize("head", [b"", b"OPENQASM 2.0;", b'{"rules": []}', b'x "cirq_type"', json.dumps([1]).encode()])
def test_leaves_other_files_alone(head: bytes) -> None:
    assert not CirqJson().recognises(head)
