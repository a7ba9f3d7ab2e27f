"""The conformance kit, and the screen in an application without a terminal."""

import asyncio

import pytest

from my_plugin.screen import COLUMNS, rows
from proxima.kernel import Kernel
from proxima_sdk.conformance import ScreenConformance


class TestConformance(ScreenConformance):
    screen = "my-plugin"


def test_a_row_has_every_column(proxima_kernel: Kernel) -> None:
    found = rows(proxima_kernel)
    assert {row[0] for row in found} == {c.name for c in proxima_kernel.contributions("backends")}
    assert all(len(row) == len(COLUMNS) for row in found)


def test_the_screen_shows_them(proxima_kernel: Kernel) -> None:
    app_module = pytest.importorskip("textual.app")
    widgets = pytest.importorskip("textual.widgets")

    async def shown() -> int:
        app = app_module.App()
        async with app.run_test() as pilot:
            await app.push_screen(proxima_kernel.get("screens", "my-plugin").create(proxima_kernel))
            await pilot.pause()
            return int(app.screen.query_one(widgets.DataTable).row_count)

    assert asyncio.run(shown()) == len(proxima_kernel.contributions("backends"))
