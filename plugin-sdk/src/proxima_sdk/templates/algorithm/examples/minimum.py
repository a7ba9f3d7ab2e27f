"""The least value of XX + ZI / 2 over a circuit of one angle: -sqrt(5) / 2 = -1.118034."""

from pathlib import Path

from proxima.contracts.backend import CancelToken
from proxima.contracts.circuit import Circuit, Parameter
from proxima_sdk.testing import open_kernel

circuit = Circuit.builder(2, name="ansatz").ry(Parameter("theta"), 0).cx(0, 1).build()

with open_kernel(Path(__file__).parents[1]) as kernel:
    result = kernel.get("algorithms", "my-plugin").execute(
        circuit,
        {"observable": "XX + 0.5*ZI"},
        cancel=CancelToken(),
        progress=lambda fraction, message: None,
    )
    print(f"{result.value:.6f} after {result.details['iterations']} iterations, at {result.details['angles']}")
