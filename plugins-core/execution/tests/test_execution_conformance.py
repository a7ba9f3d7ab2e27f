"""The conformance kits on the commands and the service, with lines that users type."""

from __future__ import annotations

from pathlib import Path

from proxima_sdk.conformance import CommandConformance, ServiceConformance

BELL = Path(__file__).resolve().parents[3] / "examples" / "bell.qasm"


class TestRun(CommandConformance):
    command = "run"
    lines = (f"{BELL} --seed 7", f"{BELL} --seed 7 --json")


class TestSweep(CommandConformance):
    command = "sweep"
    lines = (f"{BELL} --seed 7", f"{BELL} --seed 7 --json")


class TestCompare(CommandConformance):
    command = "compare"
    lines = (f"{BELL} --seed 7 --json",)


class TestVerify(CommandConformance):
    command = "verify"
    lines = (f"{BELL} --seed 7", f"{BELL} --seed 7 --by counts --json")


class TestExplain(CommandConformance):
    command = "explain"
    lines = (f"{BELL}", f"{BELL} --want statevector --json")


class TestBenchRun(CommandConformance):
    command = "bench run"
    lines = (f"{BELL} --repeats 2", "ghz --sizes 2 --repeats 1 --json")


class TestBackends(CommandConformance):
    command = "backends"
    lines = ("", "--json")


class TestCalibrate(CommandConformance):
    command = "calibrate"


class TestCircuit(CommandConformance):
    command = "circuit"
    lines = (f"info {BELL}", f"info {BELL} --json")


class TestExecution(ServiceConformance):
    service = "execution"
