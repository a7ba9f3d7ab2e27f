"""What is damaged in the store of one plugin stops no other, is told, and is mended by installing it again."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from proxima.cli import main
from proxima.errors import StorageError
from proxima.store.collect import keep_last
from proxima.store.errors import StoreError
from proxima.store.job import Job
from proxima.store.portable import sync, write_lock


@pytest.fixture
def two(shop: Any) -> Any:
    """tea 1.0 and then 1.1, and coffee."""
    for name, version in (("tea", "1.0"), ("coffee", "1.0"), ("tea", "1.1")):
        shop.plugin(name, version, permissions=["database"])
        with shop.kernel() as kernel:
            kernel.store.install(name)
    return shop


def kept(shop: Any, version: str) -> Path:
    (found,) = shop.store.glob(f"versions/tea/{version}-*")
    return Path(found)


def by_its_facts(shop: Any) -> None:
    (kept(shop, "1.0") / "install.json").write_text("")


def by_a_stray_file(shop: Any) -> None:
    (shop.store / "versions" / "tea" / "notes.txt").write_text("mine")
    (shop.store / "versions" / "notes.txt").write_text("mine")


@pytest.mark.parametrize("damage", [by_its_facts, by_a_stray_file])
def test_a_kept_version_that_is_damaged_stops_nothing(
    two: Any, damage: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(two)
    monkeypatch.setenv("PROXIMA_HOME", str(two.home))
    assert main(["plugin", "list", "--json"]) == 0
    assert '"version": "1.1"' in capsys.readouterr().out
    two.plugin("tea", "1.2")
    with two.kernel(**{"store.keep": 2}) as kernel:
        assert kernel.store.plugins() == ["coffee", "tea"]
        assert kernel.store.update("tea").version == "1.2"
        assert "1.1" in [each.version for each in kernel.store.versions("tea")], "what is damaged goes first"
        assert not kept(two, "1.1").with_name("notes.txt").exists()
        kernel.store.uninstall("tea")
        kernel.store.uninstall("coffee")
    assert two.left_behind() == []


@pytest.mark.parametrize("lost", ["install.json", "pylock.toml", ""])
def test_the_version_that_runs_is_mended_by_installing_it_again(two: Any, lost: str) -> None:
    directory = kept(two, "1.1")
    if lost:
        (directory / lost).write_text("")
    else:
        directory.rename(two.root / "lost")
    with two.kernel() as kernel:
        if lost != "pylock.toml":
            with pytest.raises(StoreError, match="the store's entry of tea is damaged") as damaged:
                kernel.store.update("tea")
            assert damaged.value.hint == "Install it again: proxima plugin install tea"
        asked = []
        outcome = kernel.store.install("tea", consent=lambda proposal: asked.append(proposal) or proposal.asked)
        assert (outcome.version, outcome.changed) == ("1.1", True)
        assert [each.asked for each in asked] == [()], "what it was granted holds"
        assert not kernel.store.install("tea").changed
        assert [each.version for each in kernel.store.versions("tea")] == ["1.1", "1.0"]
        assert two.said(kernel=kernel) == "1.1"
        assert [each.plugin for each in write_lock(kernel.store, str(two.root / "set.lock"))] == ["coffee", "tea"]
    assert two.left_behind() == []


@pytest.mark.parametrize(("step", "mended"), [("journal", False), ("place", False), ("swap", True), ("record", True)])
def test_mending_that_is_cut_short_leaves_the_old_or_the_new(two: Any, step: str, mended: bool) -> None:
    (kept(two, "1.1") / "install.json").write_text("")

    def die(name: str) -> None:
        if name == step:
            raise RuntimeError(step)

    with two.kernel() as kernel:
        with pytest.raises(RuntimeError, match=step):
            kernel.store.install("tea", job=Job(step=die))
        assert two.said(kernel=kernel) == "1.1"
        assert kernel.store.heal() == []
        assert kernel.store.install("tea").changed != mended
    assert two.said() == "1.1"
    assert two.left_behind() == []


def test_a_swap_that_is_finished_later_does_not_stumble_over_damage(two: Any) -> None:
    def die(name: str) -> None:
        if name == "record":
            kept(two, "1.0").joinpath("install.json").write_text("")
            raise RuntimeError(name)

    with two.kernel() as kernel:
        with pytest.raises(RuntimeError, match="record"):
            kernel.store.install("tea", version="1.0", job=Job(step=die))
        assert two.pointer() == kept(two, "1.0")
        assert kernel.store.plugins() == ["coffee", "tea"]
        assert kernel.store.install("tea", version="1.0").changed
    assert two.left_behind() == []


def test_a_kept_version_that_is_damaged_is_made_anew(two: Any) -> None:
    by_its_facts(two)
    with two.kernel() as kernel:
        assert kernel.store.install("tea", version="1.0").changed
        assert [each.version for each in kernel.store.versions("tea")] == ["1.0", "1.1"]
        assert two.said(kernel=kernel) == "1.0"
    assert two.left_behind() == []


@pytest.mark.parametrize("damaged", ["pointer", "install.json", "pylock.toml"])
def test_a_lock_leaves_no_plugin_out(two: Any, damaged: str) -> None:
    lock, other = two.root / "set.lock", two.root / "other.lock"
    with two.kernel() as kernel:
        write_lock(kernel.store, str(lock))
    (two.store / "current" / "tea" if damaged == "pointer" else kept(two, "1.1") / damaged).write_text("")
    with two.kernel() as kernel:
        with pytest.raises(StorageError, match=r"other\.lock is not written: the store's entry of tea is damaged"):
            write_lock(kernel.store, str(other))
        assert not other.exists()
        sync(kernel.store, str(lock))
        assert [each.plugin for each in write_lock(kernel.store, str(other))] == ["coffee", "tea"]
        (two.store / "current" / "tea").write_text("")
        kernel.store.uninstall("coffee")
        write_lock_of_nothing(lock)
        sync(kernel.store, str(lock))
        assert kernel.store.plugins() == []
    assert two.left_behind() == []


def write_lock_of_nothing(path: Path) -> None:
    path.write_text('{"format": 1, "plugins": []}')


def of_nothing(shop: Any) -> str:
    return ""


def to_nowhere(shop: Any) -> str:
    return str((shop.store / "current" / "tea").read_text()).replace("versions/tea/1.1-", "versions/tea/9.9-")


@pytest.mark.parametrize("text", [of_nothing, to_nowhere])
def test_a_damaged_pointer_loses_no_version_and_no_grant_survives_removal(two: Any, text: Any) -> None:
    (two.store / "current" / "tea").write_text(text(two))
    with two.kernel() as kernel:
        assert keep_last(kernel.store.layout, "tea", 1) == 0
        assert [each.version for each in kernel.store.versions("tea")] == ["1.1", "1.0"]
        assert kernel.store.rollback("tea", "1.0").version == "1.0"
        assert two.said(kernel=kernel) == "1.0"
        (two.store / "current" / "tea").write_text(text(two))
        kernel.store.uninstall("tea")
        last = kernel.store.history("tea")[-1]
        assert (last["action"], str(last["distribution"])) in {("uninstall", ""), ("uninstall", "tea")}
    asked: list[Any] = []
    with two.kernel() as kernel:
        kernel.store.install("tea", consent=lambda proposal: asked.extend(proposal.asked) or proposal.asked)
    assert [str(each) for each in asked] == ["database"]
    assert two.left_behind() == []


def test_a_pointer_is_written_when_the_disk_has_what_it_leads_to(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []

    def spy(name: str, told: Any) -> None:
        call = getattr(os, name)

        def spied(*args: Any) -> Any:
            done.append((name, told(*args)))
            return call(*args)

        monkeypatch.setattr(os, name, spied)

    shop.plugin()
    with shop.kernel() as kernel:
        for name in ("rename", "replace"):
            spy(name, lambda old, new: str(new))
        spy("fsync", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
        kernel.store.install("tea")
    placed = done.index(("rename", str(shop.pointer())))
    swapped = done.index(("replace", str(shop.store / "current" / "tea")))
    assert ("fsync", str(shop.store / "versions" / "tea")) in done[placed:swapped]


def test_a_full_disk_at_the_swap_is_told_with_what_helps(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def full(old: str, new: str) -> None:
        if new == str(two.store / "current" / "tea"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(old, new)

    monkeypatch.setattr(os, "replace", full)
    with two.kernel() as kernel, pytest.raises(StorageError, match="No space left on device") as told:
        kernel.store.rollback("tea")
    assert told.value.hint == "Free some space on that disk and try again."
    assert two.said() == "1.1"


def test_a_collection_that_fails_is_not_tried_for_ever(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> int:
        raise StorageError("cannot remove it")

    with two.kernel() as kernel:
        with monkeypatch.context() as patched:
            patched.setattr("proxima.store.swapping.keep_last", fail)
            with pytest.raises(StorageError, match="cannot remove it"):
                kernel.store.rollback("tea")
        assert os.listdir(two.store / "journal") == []
        assert two.said(kernel=kernel) == "1.0"
        kernel.store.uninstall("coffee")
