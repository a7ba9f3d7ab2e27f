"""Writes a Bell pair, and reads it again."""

from pathlib import Path

from proxima.contracts.circuit import Circuit
from proxima_sdk.testing import open_kernel

circuit = Circuit.builder(2, 2, name="bell").h(0).cx(0, 1).measure(0, 0).measure(1, 1).build()

with open_kernel(Path(__file__).parents[1]) as kernel:
    form = kernel.get("formats", "my-plugin")
    text = form.dump(circuit)
    print(text)
    assert form.load(text.encode(), source="bell.qjson", directory=None).content_hash == circuit.content_hash
