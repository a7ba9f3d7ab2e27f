"""Prints the rows that the screen shows."""

from pathlib import Path

from proxima_sdk.testing import open_kernel

with open_kernel(Path(__file__).parents[1]) as kernel:
    from my_plugin.screen import COLUMNS, rows

    for row in (COLUMNS, *rows(kernel)):
        print(" | ".join(row))
