"""A process that dies at any step: afterwards a plugin is exactly old or exactly new, and the next command heals."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxima.cli import main
from proxima.store.collect import unused_wheels
from proxima.store.job import Job
from proxima.store.layout import Layout
from proxima.store.portable import read_lock, write_lock

BUILD = ("resolve", "lock", "fetch", "unpack", "link", "probe", "ask", "agreed")
SWAP = ("journal", "place", "swap", "record", "collect")
STEPS = {
    "install": (*BUILD, *SWAP),
    "update": (*BUILD, *SWAP),
    "rollback": SWAP,
    "uninstall": SWAP,
}
MUTATIONS = ("rename", "replace", "unlink", "mkdir", "write", "fsync", "rmdir")
DIED = 99


def in_child(work: Callable[[], None]) -> int:
    """Runs something in a process of its own, which nothing survives; gives its exit status."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - this is the end of the process
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def die_at(step: str) -> Job:
    def hook(name: str) -> None:
        if name == step:
            os._exit(DIED)

    return Job(step=hook)


def die_at_change(number: int) -> Job:
    """Dies before the n-th change of the disk from the swap's beginning on."""
    left = [number]

    def hook(name: str) -> None:
        if name == "journal":
            for each in MUTATIONS:
                setattr(os, each, counted(getattr(os, each)))

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os._exit(DIED)
            return call(*args, **kwargs)

        return counting

    return Job(step=hook)


class Life:
    """A plugin before and after one action."""

    def __init__(self, shop: Any, action: str) -> None:
        self.shop, self.action = shop, action
        shop.library("leaf", "1.0")
        shop.library("leaf", "2.0")
        shop.plugin("tea", "1.0", "leaf<2", permissions=["database"])
        shop.plugin("tea", "2.0", "leaf", permissions=["database", "network:tea.example"])
        shop.plugin("other", "1.0", "leaf<2")
        with shop.kernel() as kernel:
            kernel.store.install("other")
            if action != "install":
                kernel.store.install("tea", version="1.0")
            if action == "rollback":
                kernel.store.update("tea")
        self.before = self.version()
        self.after = {"install": "2.0", "update": "2.0", "rollback": "1.0", "uninstall": ""}[action]
        self.saved = shop.root / "saved"
        copy_home(shop.home, self.saved)

    def act(self, job: Job) -> None:
        with self.shop.kernel() as kernel:
            store = kernel.store
            match self.action:
                case "install":
                    store.install("tea", job=job)
                case "update":
                    store.update("tea", job=job)
                case "rollback":
                    store.rollback("tea", job=job)
                case "uninstall":
                    store.uninstall("tea", job=job)

    def again(self) -> None:
        """As it was before the action."""
        shutil.rmtree(self.shop.home)
        copy_home(self.saved, self.shop.home)

    def version(self) -> str:
        with self.shop.kernel() as kernel:
            return next((each.version for each in kernel.store.installed() if each.plugin == "tea"), "")

    def check(self) -> str:
        """The plugin is whole; then the next command heals. Gives the version that runs."""
        shop = self.shop
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert main(["plugin", "list"]) == 0
        rows = {line.split()[0]: line.split()[1:] for line in out.getvalue().splitlines()[1:]}
        now = rows["tea"][0] if "tea" in rows else ""
        assert now in (self.before, self.after)
        assert rows["other"][:2] == ["1.0", "enabled"]
        if now:
            assert rows["tea"][1] == "enabled"
            self.whole(now)
        with shop.kernel() as kernel:
            kernel.store.heal()
            assert kernel.registry.records.keys() <= rows.keys()
            kernel.permissions.declare("tea", "x", ["database", "network:tea.example"], source=tea())
            granted = {str(each.permission) for each in kernel.permissions.grants.decisions("tea") if each.granted}
            wanted = {"": set(), "1.0": {"database"}, "2.0": {"database", "network:tea.example"}}[now]
            assert wanted <= granted
            assert self.action == "rollback" or granted == wanted, "nothing is granted to what was not installed"
            last = [each for each in kernel.store.history("tea") if each["outcome"] == "done"][-1:]
            assert [each["version"] for each in last] == ([now] if last else [])
            assert unused_wheels(Layout.of(kernel.paths)) == []
        assert shop.left_behind() == []
        assert [path.name for path in Path(tempfile.gettempdir()).iterdir()] == []
        assert {path.parent.name for path in shop.store.glob("versions/*/*/install.json")} == {
            path.name for path in shop.store.glob("versions/*/*")
        }
        if now:
            self.whole(now)
        return now

    def whole(self, version: str) -> None:
        """Every file of its wheels is there."""
        site = self.shop.site("tea")
        records = [*site.glob("*.dist-info/RECORD"), *self.shop.dependencies("tea").glob("*.dist-info/RECORD")]
        assert sorted(path.parent.name.partition("-")[0] for path in records) == ["leaf", "tea"]
        for record in records:
            for line in record.read_text().splitlines():
                assert (record.parent.parent / line.split(",")[0]).is_file()
        assert f'VERSION = "{version}"' in (site / "tea" / "__init__.py").read_text()
        json.loads((self.shop.pointer("tea") / "install.json").read_text())


def tea() -> Any:
    from proxima.permissions import Source

    return Source("tea", "store")


def copy_home(source: Path, target: Path) -> None:
    """Copies a home; two names of one file stay that."""
    names: dict[int, str] = {}

    def copied(path: str, to: str) -> None:
        number = os.lstat(path).st_ino
        if number in names:
            os.link(names[number], to)
        else:
            shutil.copy2(path, to, follow_symlinks=False)
            names[number] = to

    shutil.copytree(source, target, symlinks=True, copy_function=copied)


@pytest.fixture(params=list(STEPS))
def life(shop: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Life:
    monkeypatch.setenv("PROXIMA_HOME", str(shop.home))
    (shop.root / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shop.root / "tmp"))
    return Life(shop, request.param)


def test_killed_at_every_step(life: Life) -> None:
    seen = {}
    for step in STEPS[life.action]:
        assert in_child(lambda step=step: life.act(die_at(step))) == DIED, step
        seen[step] = life.check()
        if seen[step] != life.before or step in ("ask", "agreed"):
            assert in_child(lambda: life.act(Job())) in (0, 1)  # whatever was left, it can be done again
            life.check()
            life.again()
    print(f"{life.action}: killed at each of {len(seen)} steps, consistent each time")
    swapped = [step for step, version in seen.items() if version == life.after]
    assert swapped == ["record", "collect"], "until the swap it is old, and from then on it is new"


def test_killed_at_every_change_of_the_disk(life: Life) -> None:
    outcomes = []
    for number in range(200):
        code = in_child(lambda number=number: life.act(die_at_change(number)))
        outcomes.append(life.check())
        life.again()
        if code == 0:
            break
        assert code == DIED
    print(f"{life.action}: killed before each of {len(outcomes) - 1} changes of the disk, consistent each time")
    assert outcomes[0] == life.before
    assert outcomes[-1] == life.after
    assert len(outcomes) > 8
    changed = outcomes.index(life.after)
    assert set(outcomes[changed:]) == {life.after}, "new once, new for good"


def test_killed_while_the_user_is_asked(shop: Any) -> None:
    shop.plugin("tea", "1.0", permissions=["database"])

    def dies(proposal: Any) -> Any:
        os._exit(DIED)

    def act() -> None:
        with shop.kernel() as kernel:
            kernel.store.install("tea", consent=dies)

    assert in_child(act) == DIED
    assert shop.left_behind() != [], "what it made still lies there"
    with shop.kernel() as kernel:
        kernel.store.heal()
        assert kernel.store.installed() == []
        assert shop.left_behind() == []
        kernel.store.install("tea")
    assert shop.said("tea") == "1.0"


def test_killed_while_the_set_is_written(shop: Any) -> None:
    shop.plugin()
    path = shop.root / "plugins.lock"

    def act(job: Job) -> None:
        with shop.kernel() as kernel:
            write_lock(kernel.store, str(path), job)

    act(Job())
    old = path.read_bytes()
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    for step in ("read", "write"):
        assert in_child(lambda step=step: act(die_at(step))) == DIED
        assert path.read_bytes() == old
    act(Job())
    assert [each.plugin for each in read_lock(str(path))] == ["tea"]
