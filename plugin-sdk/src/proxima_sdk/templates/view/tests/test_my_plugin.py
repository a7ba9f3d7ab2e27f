"""The conformance kit, and a comparison of the backends that are installed."""

from proxima.contracts.view import Table
from proxima.kernel import Kernel
from proxima_sdk.conformance import ViewConformance

VALUES = {"qubits": 2, "shots": 100}


class TestConformance(ViewConformance):
    view = "my-plugin"
    values = {"compare": VALUES}


def test_every_backend_has_a_row(proxima_kernel: Kernel) -> None:
    shown = proxima_kernel.get("views", "my-plugin").act("compare", VALUES)
    (table,) = (part for part in shown.parts if isinstance(part, Table))
    assert {row[0] for row in table.rows} == {c.name for c in proxima_kernel.contributions("backends")}
