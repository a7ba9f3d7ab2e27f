"""No row of the corpus escapes, at either tier, for either user; and each would, if nothing held it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from corpus import OUTSIDE, ROWS
from row import Row

from proxima.sandbox.probe import HostSupport, probe

ARENA = Path(__file__).with_name("arena.py")
ORDINARY = 65533
SECONDS = 250

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the lock has only run on Linux on x86_64"
)

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
USERS = [0, ORDINARY] if AS_ROOT else [0]  # 0: stays whoever runs the tests
Place = tuple[str | None, int]  # the tier, None for the controls, and the user


def name_of(uid: int) -> str:
    return "ordinary" if uid else "root" if AS_ROOT else "self"


@cache
def host() -> HostSupport:
    return probe()


def why_not(row: Row, tier: str | None, uid: int) -> str:
    """Why a row is not tried there."""
    root = AS_ROOT and not uid
    if row.not_root and root:
        return row.not_root
    if tier is None:
        return row.no_control or ("an ordinary user cannot do this anyway" if row.root_control and not root else "")
    if tier == "B" and row.only_a:
        return "it needs a permission that tier B never grants"
    # Tests run by root put Python within every user's reach themselves, without which root's tier B does not work.
    if tier < host().tier and not (tier == "B" and AS_ROOT):
        return f"this host gives tier {host().tier}: {'; '.join(host().reasons)}"
    return ""


class Arenas:
    """Every tier and user that the chosen tests ask about, each a process with a kernel of its own.

    Users go side by side; what is one user's goes one after the other, for signals that wait and descriptors in flight
    are counted by the user.
    """

    def __init__(self, wanted: dict[Place, list[Row]]) -> None:
        self._pools = {uid: ThreadPoolExecutor(1) for _, uid in wanted}
        self._running = {place: self._pools[place[1]].submit(self._run, place, rows) for place, rows in wanted.items()}

    def answer(self, row: Row, tier: str | None, uid: int) -> dict[str, Any]:
        found = self._running[tier, uid].result()
        if isinstance(found, str):
            pytest.fail(f"the arena broke: {found}", pytrace=False)
        answer: dict[str, Any] = found[row.id]
        return answer

    def came(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """What came of those that ran."""
        for place, run in self._running.items():
            if run.done() and not run.cancelled() and isinstance(found := run.result(), dict):
                yield place, found

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    @staticmethod
    def _run(place: Place, rows: list[Row]) -> dict[str, Any] | str:
        """What came of each row, or why the arena broke."""
        tier, uid = place
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PROXIMA_", "COV_"))}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [
                "timeout",
                "-k",
                "5",
                str(SECONDS),
                sys.executable,
                str(ARENA),
                json.dumps({"tier": tier, "uid": uid, "rows": [row.id for row in rows]}),
            ],
            capture_output=True,
            text=True,
            env=environment,
        )
        if done.returncode:
            return done.stderr[-2000:] or f"exit {done.returncode}"
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def arenas(request: pytest.FixtureRequest) -> Iterator[Arenas]:
    wanted: dict[Place, list[Row]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and "arenas" in item.fixturenames:
            row, tier, uid = (item.callspec.params.get(name) for name in ("row", "tier", "uid"))
            if not why_not(row, tier, uid):
                wanted.setdefault((tier, uid), []).append(row)
    made = Arenas(wanted)
    request.config.pluginmanager.register(Summary(made))
    yield made
    made.close()


USER = pytest.mark.parametrize("uid", USERS, ids=name_of)
ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


@USER
@pytest.mark.parametrize("tier", ["A", "B"])
@ROW
def test_row_does_not_escape(row: Row, tier: str, uid: int, arenas: Arenas) -> None:
    if reason := why_not(row, tier, uid):
        pytest.skip(reason)
    answer = arenas.answer(row, tier, uid)
    if row.promised(tier):
        assert row.stopped(tier, answer), answer
    else:  # so that the list stays true
        assert "ok" in answer, answer


@USER
@ROW
def test_control_escapes_where_nothing_holds_it(row: Row, uid: int, arenas: Arenas) -> None:
    if reason := why_not(row, None, uid):
        pytest.skip(reason)
    answer = arenas.answer(row, None, uid)
    assert "ok" in answer, answer


def test_the_corpus_is_what_it_seems() -> None:
    """Each row has a name of its own, and a control or a reason why there is none."""
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert len({(row.module, row.attempt) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.side == "inside" or bool(row.control) != bool(row.no_control), row.id


class Summary:
    """Ends pytest's report with the sums over tiers and users, and the rows that got out."""

    def __init__(self, arenas: Arenas) -> None:
        self._arenas = arenas

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("the escape corpus")
        controls = sum(not row.no_control for row in ROWS)
        terminalreporter.write_line(f"{len(ROWS)} rows, {controls} with a control")
        rows = {row.id: row for row in ROWS}
        for (tier, uid), found in self._arenas.came():
            out = [rows[name] for name, answer in found.items() if "ok" in answer]
            if tier is None:
                terminalreporter.write_line(f"controls as {name_of(uid)}: {len(out)} of {len(found)} escaped")
                continue
            escaped = [row.id for row in out if row.promised(tier)]
            stopped = sum(rows[name].stopped(tier, answer) for name, answer in found.items())
            terminalreporter.write_line(
                f"tier {tier} as {name_of(uid)}: {len(found)} tried, {stopped} stopped, "
                f"{len(out) - len(escaped)} got out that it does not promise to stop, {len(escaped)} escaped"
            )
            for name in escaped:
                terminalreporter.write_line(f"  escaped: {name}: {found[name]['ok']}")
        for what, why in OUTSIDE.items():
            terminalreporter.write_line(f"not tried: {what}: {why}")
