"""Indexes that are slow, wrong or gone; two at once; a disk that is full or read-only: refused, and nothing is left."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxima.contracts.backend import CancelToken
from proxima.errors import (
    CancelledError,
    DeadlineExceededError,
    ProximaError,
    SettingsError,
    StorageError,
    UnavailableError,
)
from proxima.store.errors import ConflictError, FetchError
from proxima.store.job import Job
from proxima.store.resolve import DRIVERS, resolver

TOOLS = [driver.name for driver in DRIVERS]


def forked(work: Callable[[], str]) -> str:
    """What a function says in a process of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "died"
        try:
            said = work()
        except BaseException as error:  # noqa: BLE001 - this is the end of the process
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode()[:4000])
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.parametrize("tool", TOOLS)
def test_each_resolver_installs_and_explains(shop: Any, tool: str) -> None:
    shop.flags["store.resolver"] = tool
    for version in ("1.0", "2.0"):
        shop.library("leaf", version)
    shop.library("branch", "1.0", "leaf<2")
    shop.plugin("tea", "1.0", "proxima-kernel>=0.1", "branch", "leaf")
    shop.plugin("torn", "1.0", "branch", "leaf>=2")
    shop.plugin("late", "1.0", "proxima-kernel>=99")
    shop.plugin("lone", "1.0", "no-such-library-anywhere")
    with shop.kernel() as kernel:
        outcome = kernel.store.install("tea")
        assert outcome.proposal is not None
        assert set(outcome.proposal.packages) == {("tea", "1.0"), ("branch", "1.0"), ("leaf", "1.0")}
        with pytest.raises(ConflictError, match=r"(?s)branch.*leaf|leaf.*branch") as torn:
            kernel.store.install("torn")
        assert "Another version of it may do" in str(torn.value.hint)
        with pytest.raises(ConflictError, match="proxima-kernel"):
            kernel.store.install("late")
        with pytest.raises(ProximaError, match="no-such-library-anywhere"):
            kernel.store.install("lone")
    assert shop.left_behind() == []


@pytest.mark.parametrize("tool", TOOLS)
def test_directories_and_versions_may_be_written_as_one_likes(shop: Any, tool: str) -> None:
    shop.flags["store.resolver"] = tool
    shop.library("leaf", "1.00")
    shop.plugin("tea", "1.0", "leaf", "proxima-kernel")
    shop.home = shop.root / "my 1st #home? 100%25"
    wheel = shop.root / "a b#c?d%20e" / shop.plugin("coffee", "1.0", "leaf").name
    wheel.parent.mkdir()
    shutil.move(shop.index.directory / wheel.name, wheel)
    with shop.kernel() as kernel:
        assert kernel.store.install("tea").changed
        assert kernel.store.install(str(wheel)).changed
        assert kernel.store.newer("coffee") == ""
    assert shop.left_behind() == []


def test_an_unknown_resolver_is_refused(shop: Any) -> None:
    with pytest.raises(SettingsError, match=r"store\.resolver: there is no resolver 'magic'"):
        resolver("magic")
    with (
        shop.kernel(**{"store.colour": "red"}) as kernel,
        pytest.raises(SettingsError, match="colour: unknown"),
    ):
        kernel.store.install("tea")


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("half", "ended after|broke off"),
        ("wrong", "is not the file that was asked for: its sha256 is"),
        ("gone", "cannot fetch http://127.0.0.1:[0-9]+/files/tea-1.0-py3-none-any.whl: Not Found"),
    ],
)
def test_an_index_that_fails_while_it_sends(shop: Any, mood: str, words: str) -> None:
    shop.plugin()
    with shop.kernel() as kernel:
        shop.index.mood = mood
        with pytest.raises(FetchError, match=words):
            kernel.store.install("tea")
        assert shop.left_behind() == []
        shop.index.mood = "well"
        assert kernel.store.install("tea").changed


def test_an_index_that_is_slow_is_given_up(shop: Any) -> None:
    shop.plugin()
    with shop.kernel() as kernel:
        shop.index.mood = "slow"
        started = time.monotonic()
        with pytest.raises(DeadlineExceededError, match="no time was left while"):
            kernel.store.install("tea", job=Job(deadline=started + 2.0))
        assert time.monotonic() - started < 20
    assert shop.left_behind() == []


def test_an_index_that_never_answers_is_given_up(shop: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        shop.flags["store.index_url"] = f"http://127.0.0.1:{silent.getsockname()[1]}/simple/"
        started = time.monotonic()
        with shop.kernel() as kernel, pytest.raises(DeadlineExceededError):
            kernel.store.install("tea", job=Job(deadline=started + 1.5))
        assert time.monotonic() - started < 20
    assert shop.left_behind() == []


def test_an_installation_can_be_cancelled(shop: Any) -> None:
    shop.plugin()
    token = CancelToken()

    def step(name: str) -> None:
        if name == "ask":
            token.cancel()

    with shop.kernel() as kernel:
        with pytest.raises(CancelledError):
            kernel.store.install("tea", job=Job(cancel=token, step=step))
        assert kernel.store.installed() == []
    assert shop.left_behind() == []


def test_two_installations_at_once(shop: Any) -> None:
    for name in ("tea", "coffee"):
        shop.plugin(name)
    said: list[str] = []

    def install(name: str) -> str:
        with shop.kernel() as kernel:
            return str(kernel.store.install(name).changed)

    threads = [
        threading.Thread(target=lambda name=name: said.append(forked(lambda: install(name))))
        for name in ("tea", "tea", "coffee")
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(said) == ["False", "True", "True"]
    with shop.kernel() as kernel:
        assert [each.plugin for each in kernel.store.installed()] == ["coffee", "tea"]
        assert len(kernel.store.history()) == 2
    assert shop.left_behind() == []


def test_who_waits_is_told_for_whom_and_not_for_ever(shop: Any) -> None:
    shop.plugin()
    said = []
    inside, leave = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "resolve":
            inside.set()
            leave.wait(30)

    def first() -> None:
        with shop.kernel() as kernel:
            kernel.store.install("tea", job=Job(step=hold))

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(30)
    with shop.kernel(**{"store.wait_seconds": 0.3}) as kernel:
        job = Job(progress=lambda fraction, message: said.append(message))
        with pytest.raises(DeadlineExceededError, match=f"held by install of tea .process {os.getpid()}"):
            kernel.store.uninstall("tea", job=job)
    leave.set()
    thread.join()
    assert said == [f"waiting for install of tea (process {os.getpid()})"]


def test_a_limit_on_file_sizes_leaves_the_old_version(shop: Any) -> None:
    shop.plugin("tea", "1.0")
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    shop.plugin("tea", "2.0", files={"tea/data.bin": os.urandom(1 << 20).hex()})

    def update() -> str:
        with shop.kernel() as kernel:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))
            kernel.store.update("tea")
        return "updated"

    assert forked(update).startswith("StorageError: cannot write")
    assert shop.said() == "1.0"
    with shop.kernel() as kernel:
        kernel.store.heal()
    assert shop.left_behind() == []


def test_a_full_disk_leaves_the_old_version(shop: Any) -> None:
    shop.plugin("tea", "1.0")
    shop.plugin("tea", "2.0", files={"tea/data.bin": os.urandom(3 << 20).hex()})
    shop.home.mkdir()
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=7m", "tmpfs", shop.home], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        with shop.kernel() as kernel:
            kernel.store.install("tea", version="1.0")
            with pytest.raises(StorageError, match="No space left"):
                kernel.store.update("tea")
            assert shop.said(kernel=kernel) == "1.0"
            kernel.store.heal()
        assert shop.left_behind() == []
    finally:
        subprocess.run(["umount", "--lazy", shop.home], check=True)


def test_a_home_that_cannot_be_written_is_said_so(shop: Any) -> None:
    shop.plugin()
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        kernel.permissions.audit.search()
    for path in (shop.root, *shop.root.parents):
        if path.stat().st_uid == os.getuid() and path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o005)
    for path in [shop.home, *shop.home.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)

    def install() -> str:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        with shop.kernel() as kernel:
            assert [each.id for each in kernel.registry.records.values() if each.found] == ["tea"]
            kernel.store.install("tea")
        return "installed"

    try:
        said = forked(install)
    finally:
        for path in [shop.home, *shop.home.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
    assert said.startswith("StorageError: cannot"), said
    assert "Permission denied" in said


def test_damage_in_the_cache_is_found(shop: Any) -> None:
    shop.plugin()
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        kernel.store.uninstall("tea")
        (cached,) = Path(kernel.paths.cache).glob("wheels/*/tea-1.0-py3-none-any.whl")
        cached.write_bytes(cached.read_bytes()[:-10])
        shutil.rmtree(Path(kernel.paths.cache, "answers"))  # a damaged guess is fetched again
        with pytest.raises(FetchError, match="was damaged since it was fetched"):
            kernel.store.install("tea")
        assert kernel.store.install("tea").changed


def test_a_python_without_tls_says_so(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.plugin()
    monkeypatch.setitem(sys.modules, "ssl", None)
    with shop.kernel() as kernel, pytest.raises(UnavailableError, match="this Python cannot fetch by https"):
        kernel.store.install("tea")
    assert shop.left_behind() == []
