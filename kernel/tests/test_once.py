"""What is made at its first use, by whichever thread comes first."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxima.kernel import Kernel
from proxima.once import once


class Pot:
    made = 0

    @once
    def tea(self) -> object:
        """Hot."""
        time.sleep(0.05)
        self.made += 1
        if self.made < 0:
            raise RuntimeError("no water")
        return object()


def at_once(number: int, of: object, name: str) -> list[object]:
    start = threading.Barrier(number)

    def get(_: int) -> object:
        start.wait()
        return getattr(of, name)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(get, range(number)))


def test_threads_that_come_at_once_have_the_same() -> None:
    pot = Pot()
    assert len(set(map(id, at_once(8, pot, "tea")))) == pot.made == 1
    assert Pot().tea is not pot.tea


def test_what_could_not_be_made_is_tried_again_and_what_was_taken_away_is_made_anew() -> None:
    pot = Pot()
    pot.made = -2
    with pytest.raises(RuntimeError, match="no water"):
        _ = pot.tea
    first = pot.tea
    del pot.tea
    assert pot.tea is not first
    assert Pot.tea.__doc__ == "Hot."


@pytest.mark.parametrize("name", ["events", "settings", "permissions", "isolation", "store", "services"])
def test_a_kernel_has_one_of_each(name: str) -> None:
    with Kernel() as kernel:
        assert len(set(map(id, at_once(8, kernel, name)))) == 1
