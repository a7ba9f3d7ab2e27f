"""Shows the view as text, as a host without windows would."""

from pathlib import Path

from proxima.contracts.view import Table, Text
from proxima_sdk.testing import open_kernel

with open_kernel(Path(__file__).parents[1]) as kernel:
    backends = kernel.contributions("backends")
    fastest = min(backends, key=lambda each: each.data["capabilities"]["import_seconds"]).name
    shown = kernel.get("views", "my-plugin").act("compare", {"qubits": 3, "shots": 500, "backends": fastest})
for part in shown.parts:
    if isinstance(part, Text):
        print(part.text)
    elif isinstance(part, Table):
        for row in (part.headings, *part.rows):
            print(" | ".join(map(str, row)))
