"""Counts the gates of a GHZ state on 5 qubits."""

from pathlib import Path

from proxima_sdk.testing import open_kernel

ENTANGLE = "".join(f"cx q[{i}], q[{i + 1}];\n" for i in range(4))
PROGRAM = f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[5];\nh q[0];\n{ENTANGLE}'

with open_kernel(Path(__file__).parents[1]) as kernel:
    print(kernel.get("tools", "my-plugin").call({"program": PROGRAM}).text)
