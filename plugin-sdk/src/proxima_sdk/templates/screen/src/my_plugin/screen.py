"""A Textual screen. Textual is imported when the screen is opened, and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxima_sdk import Screen

if TYPE_CHECKING:
    from proxima.kernel import Kernel

COLUMNS = ("backend", "plugin", "qubits", "noise", "precision", "wants")


class BackendTable(Screen):
    """A table that is read from the manifests: no backend is imported for it."""

    name = "my-plugin"
    title = "Backends"
    key = "b"

    def create(self, kernel: Kernel) -> Any:
        """A new screen."""
        from my_plugin.table import table_screen

        return table_screen(self.title, COLUMNS, rows(kernel))


def rows(kernel: Kernel) -> list[tuple[str, ...]]:
    """One row a backend."""
    found = []
    for backend in kernel.contributions("backends"):
        can = backend.data.get("capabilities") or {}
        most = str(can.get("max_qubits") or "as memory allows")
        noise = "yes" if can.get("noise") else "no"
        found.append(
            (
                backend.name,
                backend.plugin,
                most,
                noise,
                ", ".join(can.get("precisions", ())),
                ", ".join(can.get("wants", ())),
            )
        )
    return sorted(found)
