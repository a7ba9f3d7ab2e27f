"""The conformance kit, and the statistics."""

import argparse
import json
from pathlib import Path

import pytest

from my_plugin.command import Repeat, spread
from proxima.errors import UsageError
from proxima.kernel import Kernel
from proxima_sdk.conformance import CommandConformance

BELL = Path(__file__).parents[1] / "examples" / "bell.qasm"


class TestConformance(CommandConformance):
    command = "my-plugin"
    lines = (f"'{BELL}' --runs 2 --shots 64", f"'{BELL}' --runs 2 --shots 64 --json")


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    Repeat().configure(parser)
    return parser.parse_args([str(BELL), *words])


def test_spread() -> None:
    assert spread([{"0": 0.5, "1": 0.5}, {"0": 1.0}]) == [
        ("0", 0.75, pytest.approx(0.5 / 2**0.5)),
        ("1", 0.25, pytest.approx(0.5 / 2**0.5)),
    ]


def test_a_bell_pair_varies_as_a_coin_does(proxima_kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    assert Repeat().run(parsed("--runs", "20", "--shots", "400", "--json"), proxima_kernel) == 0
    rows = {row["bits"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"00", "11"}
    assert rows["00"]["mean"] == pytest.approx(0.5, abs=0.05)  # the mean of 8000 throws: 9 deviations
    assert 0.01 < rows["00"]["deviation"] < 0.05  # 0.025 is expected of 400 throws


def test_one_run_has_no_spread(proxima_kernel: Kernel) -> None:
    with pytest.raises(UsageError, match="at least 2"):
        Repeat().run(parsed("--runs", "1"), proxima_kernel)
