"""Our OpenQASM 2 reader against Qiskit's, each in a fresh process so that imports count.

Goal: 100,000 gates in at most twice Qiskit's time, and faster below 20,000.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from timing import interleaved, ratio

OURS = """
import sys
from proxima_format_openqasm import plugin
(two,) = [f for f in plugin.proxima_formats() if f.name == "openqasm2"]
print(len(two.load(open(sys.argv[1], "rb").read(), source=sys.argv[1], directory=None)))
"""
THEIRS = """
import sys
import qiskit.qasm2
print(sum(qiskit.qasm2.load(sys.argv[1]).count_ops().values()))
"""


@pytest.mark.parametrize("gates", [1_000, 10_000, 20_000, 100_000])
def test_reading_a_file(gates: int, tmp_path: Path) -> None:
    path = tmp_path / "circuit.qasm"
    path.write_text(_text(gates))

    def read(program: str) -> str:
        return subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True).stdout

    assert read(OURS) == read(THEIRS) == f"{gates}\n"
    times = interleaved({"ours": lambda: read(OURS), "theirs": lambda: read(THEIRS)}, rounds=5)
    goal = 2.0 if gates > 20_000 else 1.0
    print(f"\nOpenQASM 2, {gates:>7} gates: ours/Qiskit {ratio(times, 'ours', 'theirs'):.3f} (goal {goal})")


def _text(gates: int) -> str:
    rng = random.Random(1)
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";', "qreg q[20];"]
    for _ in range(gates):
        a, b = rng.sample(range(20), 2)
        lines.append(
            rng.choice(
                (f"h q[{a}];", f"cx q[{a}],q[{b}];", f"rz({rng.random()}) q[{a}];", f"u3(pi/2,0,pi/{a + 1}) q[{b}];")
            )
        )
    return "\n".join(lines)
