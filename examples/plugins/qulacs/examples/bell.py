"""A Bell pair, sampled and exact."""

from pathlib import Path

from proxima.contracts.backend import RunContext, RunRequest
from proxima.contracts.circuit import Circuit
from proxima_sdk.testing import open_kernel

circuit = Circuit.builder(2, 2, name="bell").h(0).cx(0, 1).measure(0, 0).measure(1, 1).build()
request = RunRequest(circuit=circuit, shots=1000, seed=7, precision="double", wants=("counts", "statevector"))

with open_kernel(Path(__file__).parents[1]) as kernel:
    backend = kernel.get("backends", "qulacs")
    result = backend.run(backend.plan(request), RunContext())
    print(dict(result.counts))
    print(result.statevector)
