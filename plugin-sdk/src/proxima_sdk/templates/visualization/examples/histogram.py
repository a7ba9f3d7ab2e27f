"""Writes a histogram of given counts to a temporary directory."""

import tempfile
from pathlib import Path

from proxima.contracts.result import RunResult
from proxima_sdk.testing import open_kernel

counts = {"000": 487, "001": 12, "110": 9, "111": 516}
result = RunResult(backend="noisy", method="", precision="double", shots=1024, seed=0, counts=counts)

with open_kernel(Path(__file__).parents[1]) as kernel:
    picture = kernel.get("visualizations", "my-plugin").render(result, "svg", {"title": "GHZ of 3 qubits"})
file = Path(tempfile.gettempdir(), "my-plugin-example.svg")
file.write_bytes(picture)
print(file)
