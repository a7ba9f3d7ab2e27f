"""Prints a Bell pair as Cirq code."""

from pathlib import Path

from proxima.contracts.circuit import Circuit
from proxima_sdk.testing import open_kernel

circuit = Circuit.builder(2, 2, name="bell").h(0).cx(0, 1).measure(0, 0).measure(1, 1).build()

with open_kernel(Path(__file__).parents[1]) as kernel:
    print(kernel.get("codegens", "my-plugin").generate(circuit))
