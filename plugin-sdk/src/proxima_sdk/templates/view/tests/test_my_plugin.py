"""The conformance kit, and a comparison, with the backend that takes least time to import."""

from proxima.contracts.view import Table
from proxima.kernel import Kernel
from proxima_sdk.conformance import ViewConformance


class TestConformance(ViewConformance):
    view = "my-plugin"
    values = {"compare": {"qubits": 2, "shots": 100, "backends": "qsim"}}


def test_every_backend_that_is_named_has_a_row(proxima_kernel: Kernel) -> None:
    backends = proxima_kernel.contributions("backends")
    first = min(backends, key=lambda each: each.data["capabilities"]["import_seconds"]).name
    shown = proxima_kernel.get("views", "my-plugin").act("compare", {"qubits": 2, "shots": 100, "backends": first})
    (table,) = (part for part in shown.parts if isinstance(part, Table))
    assert [(row[0], len(row)) for row in table.rows] == [(first, len(table.headings))]


def test_no_action_runs_before_somebody_asks(proxima_kernel: Kernel) -> None:
    shown = proxima_kernel.get("views", "my-plugin").show()
    assert not [part for part in shown.parts if isinstance(part, Table)]
