"""PennyLane's own tests of a device, which `pl-device-test` runs, with exact values and with shots.

Nothing is skipped by us. What they skip by themselves: the gradient tests of jax and torch, which are not installed
here; backpropagation, which the device does not offer; what is for PennyLane's former device interface, for pure states
or for qutrits; and in each mode what is for the other.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("proxima_lret_core", reason="lret-core is not built: there was no C++ compiler")

SHOTS = "20000"  # their default of a million takes longer; five standard errors of 20,000 shots are within their 0.05


@pytest.mark.parametrize("options", [[], ["--shots", SHOTS]], ids=["exact", "shots"])
def test_pennylanes_device_tests_pass(options: list[str]) -> None:
    import pennylane.devices.tests

    folder = Path(pennylane.devices.tests.__file__).parent
    # A process of its own: their conftest, random seeds and pytest settings are not ours.
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-flaky-report", "-W", "ignore"),
        *("-c", str(folder / "pytest.ini"), "--rootdir", str(folder), "--tb", "short"),
        *(str(folder), "--device", "proxima.lret.mixed", *options),
    ]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 350, "most of their tests were not run"
