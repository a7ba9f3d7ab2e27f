"""How long a thousand shots of a GHZ state take."""

from pathlib import Path

from proxima.contracts.circuit import Circuit
from proxima_sdk.testing import open_kernel

builder = Circuit.builder(5, 5).h(0)
for qubit in range(4):
    builder.cx(qubit, qubit + 1)
circuit = builder.measure_all().build()

with open_kernel(Path(__file__).parents[1]) as kernel:
    from my_plugin.contract import Durations

    print(f"{1000 * kernel.services.require(Durations).seconds(circuit):.6f} s")
