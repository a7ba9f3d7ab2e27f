"""The part that needs Textual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Header


class TableScreen(Screen[None]):
    """Rows under headings."""

    BINDINGS = [("escape", "dismiss", "Close")]

    def __init__(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        super().__init__()
        self.title = title
        self._columns, self._rows = columns, rows

    def compose(self) -> ComposeResult:
        """Header, table, footer."""
        yield Header()
        yield DataTable[str](zebra_stripes=True, cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        """Fills the table."""
        table = self.query_one(DataTable)
        table.add_columns(*self._columns)
        table.add_rows(self._rows)


def table_screen(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Screen[Any]:
    """A new one."""
    return TableScreen(title, columns, rows)
