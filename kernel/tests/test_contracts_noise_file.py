"""Noise models from files and as JSON, and thermal relaxation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NOISY, NoiseModel, NoiseRule, thermal_relaxation
from proxima.contracts.operations import CHANNELS, OPERATIONS, Op
from proxima.contracts.readout import ReadoutError
from proxima.errors import UsageError
from proxima_sdk import reference
from proxima_sdk.circuits import random_kraus


@pytest.mark.parametrize(("t1", "t2", "time", "excited"), [(50.0, 70.0, 10.0, 0.0), (50.0, 100.0, 80.0, 0.2)])
def test_thermal_relaxation_decays_as_its_times_say(t1: float, t2: float, time: float, excited: float) -> None:
    circuit = Circuit.builder(1).ry(1.1, 0).build()
    noise = NoiseModel(thermal_relaxation(t1, t2, time, excited=excited))
    rho = reference.density_matrix(noise.apply(circuit))
    one = math.sin(0.55) ** 2
    assert rho[1, 1].real == pytest.approx(excited + (one - excited) * math.exp(-time / t1), abs=1e-12)
    assert abs(rho[0, 1]) == pytest.approx(math.sin(1.1) / 2 * math.exp(-time / t2), abs=1e-12)


@pytest.mark.parametrize(
    "times", [(0.0, 1.0, 1.0), (1.0, 2.1, 1.0), (1.0, 1.0, -1.0), (math.nan, 1.0, 1.0), (1.0, 0.0, 1.0)]
)
def test_relaxation_that_cannot_be(times: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="not possible"):
        thermal_relaxation(*times)


def test_a_file_s_rules_and_readout(tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    path.write_text(
        json.dumps(
            {
                "rules": [
                    {"channel": "depolarizing", "params": [0.02], "gates": ["cx"], "qubits": [1]},
                    {"channel": "thermal_relaxation", "t1": 5e-5, "t2": 7e-5, "time": 1e-7},
                    {"channel": "depolarizing2", "params": [0.03], "gate_qubits": [[0, 1]], "positions": [1, 0]},
                ],
                "readout": {"1": [0.1, 0.2], "default": [0.01, 0.02]},
            }
        )
    )
    model = NoiseModel.read(path)
    assert model == NoiseModel.parse(str(path)) == NoiseModel.of(path)
    assert [rule.channel for rule in model.rules] == [
        Op.DEPOLARIZING,
        Op.AMPLITUDE_DAMPING,
        Op.PHASE_DAMPING,
        Op.DEPOLARIZING2,
    ]
    assert model.rules[0].gates == {"cx"}
    assert model.rules[0].qubits == {1}
    assert model.rules[3].gate_qubits == {(0, 1)}
    assert model.rules[3].positions == (1, 0)
    assert model.readout_of(3) == {
        0: ReadoutError(0.01, 0.02),
        1: ReadoutError(0.1, 0.2),
        2: ReadoutError(0.01, 0.02),
    }


def _kraus(qubits: int, seed: int) -> tuple[Any, ...]:
    operators = random_kraus(qubits, 3, np.random.default_rng(seed))
    return tuple(tuple(map(tuple, operator.tolist())) for operator in operators)


_QUBITS = st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def _rules(draw: st.DrawFn) -> NoiseRule:
    op = draw(st.sampled_from(sorted(CHANNELS)))
    params = OPERATIONS[op].params
    high = 1 / max(1, len(params))
    kraus = _kraus(draw(st.integers(1, 2)), draw(st.integers(0, 9))) if op is Op.KRAUS else ()
    size = OPERATIONS[op].num_qubits or len(kraus[0]).bit_length() - 1
    return NoiseRule(
        op,
        tuple(draw(st.floats(0, high)) for _ in params),
        draw(st.none() | st.frozensets(st.sampled_from(sorted(NOISY)))),
        draw(st.none() | st.frozensets(st.integers(0, 9))),
        kraus,
        draw(st.none() | st.frozensets(_QUBITS)),
        draw(st.frozensets(_QUBITS)),
        draw(st.none() | st.permutations(range(3)).map(lambda order: tuple(order[:size]))),
    )


_READOUT = st.builds(ReadoutError, st.floats(0, 1), st.floats(0, 1))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_rules(), max_size=3).map(tuple), st.dictionaries(st.none() | st.integers(0, 50), _READOUT, max_size=3))
def test_json_reads_back_as_the_same_model(
    rules: tuple[NoiseRule, ...], readout: dict[int | None, ReadoutError]
) -> None:
    model = NoiseModel(rules, readout)
    assert NoiseModel.parse(model.to_json()) == model
    assert NoiseModel.parse(str(model)) == model


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "not a noise model"),
        ({"rule": []}, "not a noise model"),
        ({"rules": {}}, "rules is not a list"),
        ({"rules": [{}]}, "rule 0 names no channel"),
        ({"rules": [{"channel": "cx", "params": []}]}, "rule 0: cx is no channel"),
        ({"rules": [{"channel": "loud", "params": []}]}, "rule 0: there is no channel 'loud'"),
        ({"rules": [{"channel": "depolarizing2", "params": [0.1], "positions": [1]}]}, "acts on 2 qubits"),
        ({"rules": [{"channel": "bit_flip", "params": [0.1], "gate_qubits": [0]}]}, "gate_qubits is not a list"),
        ({"rules": [{"channel": "kraus", "kraus": [[[[1, 0]]]]}]}, "square matrices of one size, of 1 to 4 qubits"),
        ({"rules": [{"channel": "kraus", "kraus": [[[1, 0], [0, 1]]]}]}, "kraus: 2 numbers expected"),
        (
            {"rules": [{"channel": "kraus", "kraus": [[[[1, 0], [0, 0]], [[0, 0], [0.5, 0]]]]}]},
            "not trace preserving; they are off by 0.75",
        ),
        ({"rules": [{"channel": "kraus"}]}, "come with the channel kraus"),
        ({"rules": [{"channel": "pauli_channel", "params": [0.5, 0.5, 0.1]}]}, r"outside \[0, 1\]"),
        ({"rules": [{"channel": "bit_flip", "params": [1.5]}]}, r"outside \[0, 1\]"),
        ({"rules": [{"channel": "bit_flip", "params": ["x"]}]}, "1 number expected"),
        ({"rules": [{"channel": "bit_flip"}]}, "1 number expected"),
        ({"rules": [{"channel": "bit_flip", "params": [0.1], "gates": ["barrier"]}]}, "no gate 'barrier'"),
        ({"rules": [{"channel": "bit_flip", "params": [0.1], "qubits": [-1]}]}, "number from 0"),
        ({"rules": [{"channel": "bit_flip", "params": [0.1], "when": 1}]}, "'when' is unknown"),
        ({"rules": [{"channel": "thermal_relaxation", "t1": 1}]}, "3 numbers expected"),
        ({"readout": {"a": [0.1, 0.1]}}, "readout maps"),
        ({"readout": {"0": [0.1]}}, "2 numbers expected"),
    ],
)
def test_a_file_that_is_wrong_says_where(data: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=message):
        NoiseModel.read(path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        NoiseModel.read(tmp_path / "missing.json")
    path = tmp_path / "text.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="not a noise model in JSON"):
        NoiseModel.read(path)
