"""Noise models from files, and thermal relaxation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import proxima_lret_core as lret
from proxima.contracts.circuit import Circuit
from proxima.contracts.noise import NoiseModel
from proxima.contracts.operations import Op
from proxima.errors import UsageError


@pytest.mark.parametrize(("t1", "t2", "time", "excited"), [(50.0, 70.0, 10.0, 0.0), (50.0, 100.0, 80.0, 0.2)])
def test_thermal_relaxation_decays_as_its_times_say(t1: float, t2: float, time: float, excited: float) -> None:
    circuit = Circuit.builder(1).ry(1.1, 0).build()
    noise = NoiseModel(lret.thermal_relaxation(t1, t2, time, excited=excited))
    rho = lret.run(circuit, noise=noise, tolerance=1e-9, precision="double").density_matrix()
    one = math.sin(0.55) ** 2
    assert rho[1, 1].real == pytest.approx(excited + (one - excited) * math.exp(-time / t1), abs=3e-9)
    assert abs(rho[0, 1]) == pytest.approx(math.sin(1.1) / 2 * math.exp(-time / t2), abs=3e-9)


@pytest.mark.parametrize(
    "times", [(0.0, 1.0, 1.0), (1.0, 2.1, 1.0), (1.0, 1.0, -1.0), (math.nan, 1.0, 1.0), (1.0, 0.0, 1.0)]
)
def test_relaxation_that_cannot_be(times: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="not possible"):
        lret.thermal_relaxation(*times)


def test_a_file_s_rules_and_readout(tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    path.write_text(
        json.dumps(
            {
                "rules": [
                    {"channel": "depolarizing", "params": [0.02], "gates": ["cx"], "qubits": [1]},
                    {"channel": "thermal_relaxation", "t1": 5e-5, "t2": 7e-5, "time": 1e-7},
                ],
                "readout": {"1": [0.1, 0.2]},
            }
        )
    )
    model, readout = lret.read_noise(path)
    assert [rule.channel for rule in model.rules] == [
        Op.DEPOLARIZING,
        Op.GENERALIZED_AMPLITUDE_DAMPING,
        Op.PHASE_DAMPING,
    ]
    assert model.rules[0].gates == {"cx"}
    assert model.rules[0].qubits == {1}
    assert readout == {1: lret.ReadoutError(0.1, 0.2)}
    state = lret.run(Circuit.builder(2, 2).h(0).cx(0, 1).measure_all().build(), noise=model, readout=readout)
    assert sum(state.counts(100).values()) == 100
    np.testing.assert_allclose(state.probabilities().sum(), 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "not a noise model"),
        ({"rule": []}, "not a noise model"),
        ({"rules": {}}, "rules is not a list"),
        ({"rules": [{}]}, "rule 0 names no channel"),
        ({"rules": [{"channel": "cx", "params": []}]}, "no one-qubit channel 'cx'"),
        ({"rules": [{"channel": "depolarizing2", "params": [0.1]}]}, "no one-qubit channel"),
        ({"rules": [{"channel": "bit_flip", "params": [1.5]}]}, r"outside \[0, 1\]"),
        ({"rules": [{"channel": "bit_flip", "params": ["x"]}]}, "1 number expected"),
        ({"rules": [{"channel": "bit_flip"}]}, "1 number expected"),
        ({"rules": [{"channel": "bit_flip", "params": [0.1], "gates": ["measure"]}]}, "no gate 'measure'"),
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
        lret.read_noise(path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a noise model in JSON"):
        lret.read_noise(tmp_path / "missing.json")
    path = tmp_path / "text.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="not a noise model in JSON"):
        lret.read_noise(path)
