"""Policies: what permissions become, and what is never granted however it is written."""

from __future__ import annotations

import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.errors import UsageError
from proxima.paths import Paths
from proxima.permissions.grammar import Permission
from proxima.sandbox.policy import Limits, SandboxPolicy, compile_policy, is_beneath, runtime_paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    for name in ("work/sub", ".ssh", ".config/proxima", "proxima/data/plugins/x", "proxima/cache/scratch"):
        (home / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PROXIMA_HOME", str(home / "proxima"))
    return home


def compiled(home: Path, *granted: Permission | str, **changes: Any) -> SandboxPolicy:
    arguments: dict[str, Any] = {
        "import_paths": [str(home / "proxima/data/plugins/x")],
        "scratch": str(home / "proxima/cache/scratch"),
        "workspace": str(home / "work"),
        "paths": Paths.default(),
        "limits": Limits(),
        "tier": "A",
        "threads": 2,
        **changes,
    }
    permissions = [Permission.parse(each) if isinstance(each, str) else each for each in granted]
    return compile_policy("x", permissions, **arguments)


def test_permissions_become_paths_hosts_and_switches(home: Path) -> None:
    policy = compiled(home, "file_read:workspace", f"file_write:{home}/work/sub", "network:example.org", "subprocess")
    assert str(home / "work") in policy.read
    assert policy.write == (str(home / "work/sub"),)
    assert policy.network == ("example.org",)
    assert policy.subprocess
    assert not policy.gpu
    assert policy.import_paths == (str(home / "proxima/data/plugins/x"),)


def test_no_permission_opens_only_what_python_needs(home: Path) -> None:
    policy = compiled(home, "execute_circuits")
    assert policy.read == runtime_paths()
    assert policy.write == policy.network == ()


@pytest.mark.parametrize("where", ["", ".ssh", "proxima", "proxima/data", "proxima/data/plugins/x", ".config/.."])
@pytest.mark.parametrize("kind", ["file_read", "file_write"])
def test_refuses_home_secrets_and_proximas_own_directories(home: Path, where: str, kind: str) -> None:
    with pytest.raises(UsageError, match="never granted"):
        compiled(home, Permission(kind, os.path.normpath(home / where)))


@pytest.mark.parametrize("place", ["/", "/etc", "/proc", "/proc/self", "/sys", "/dev", "/run", "/usr", "/var", "/tmp"])
@pytest.mark.parametrize("kind", ["file_read", "file_write"])
def test_refuses_the_systems_directories(home: Path, place: str, kind: str) -> None:
    with pytest.raises(UsageError, match="never granted"):
        compiled(home, Permission(kind, place))


def test_refuses_a_symlink_to_the_home_directory(home: Path) -> None:
    (home / "work/link").symlink_to(home)
    with pytest.raises(UsageError, match="never granted"):
        compiled(home, Permission("file_read", f"{home}/work/link"))


@pytest.mark.parametrize("value", ["relative", "~/work", "~/../", "", "/a\0b", "/\ud800"])
def test_refuses_a_stored_grant_that_names_no_absolute_path(home: Path, value: str) -> None:
    with pytest.raises(UsageError, match="path"):
        compiled(home, Permission("file_read", value))


def test_refuses_a_workspace_that_is_the_home_directory(home: Path) -> None:
    with pytest.raises(UsageError, match="no workspace"):
        compiled(home, "file_read:workspace", workspace=str(home))


def test_all_opens_nothing_by_itself(home: Path) -> None:
    assert compiled(home, "file_read:all", "file_write:all") == compiled(home)


def test_leaves_out_what_is_not_there(home: Path) -> None:
    assert compiled(home, f"file_read:{home}/work/none").read == runtime_paths()


def test_python_in_a_writable_directory_is_covered_at_tier_a_and_refused_at_tier_b(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = home / "work/.venv"
    (environment / "lib/site-packages").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(environment / "lib/site-packages")])
    monkeypatch.setattr(sys, "prefix", str(environment))
    policy = compiled(home, "file_write:workspace")
    assert policy.covered == (str(environment),)
    assert str(environment) not in policy.read
    with pytest.raises(UsageError, match="imports from"):
        compiled(home, "file_write:workspace", tier="B")
    monkeypatch.setattr(sys, "path", [*sys.path, str(home / "work/sub/lib")])
    (home / "work/sub/lib").mkdir()
    with pytest.raises(UsageError, match="imports from"):
        compiled(home, "file_write:workspace")


def test_refuses_to_let_a_plugin_write_its_own_code(home: Path) -> None:
    with pytest.raises(UsageError, match="write what it imports"):
        compiled(home, "file_write:workspace", import_paths=[str(home / "work/sub")])


@pytest.mark.parametrize("tier", ["B", "C"])
def test_programs_need_tier_a(home: Path, tier: str) -> None:
    with pytest.raises(UsageError, match="needs isolation tier A"):
        compiled(home, "subprocess", tier=tier)


VALID = SandboxPolicy(plugin="x", tier="B", scratch="/tmp/x/y", read=("/opt/lib",), limits=Limits(), threads=2)


@pytest.mark.parametrize(
    "change",
    [
        {"plugin": ""},
        {"plugin": "a\nb"},
        {"tier": "D"},
        {"tier": 1},
        {"read": ["relative"]},
        {"read": ["/opt/../etc"]},
        {"read": ["//opt"]},
        {"read": ["/opt/"]},
        {"read": ["/"]},
        {"read": ["/opt\0/x"]},
        {"read": ["/proc/1"]},
        {"read": "/opt"},
        {"read": [1]},
        {"read": ["/opt/x"] * 1001},
        {"write": ["/etc/x"]},
        {"write": ["/usr/lib/x"]},
        {"scratch": "/dev/shm/x"},
        {"scratch": None},
        {"subprocess": True},
        {"subprocess": 1},
        {"gpu": "yes"},
        {"threads": 0},
        {"threads": True},
        {"limits": {}},
        {"limits": None},
    ],
)
def test_a_policy_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        changed(change)


def changed(change: dict[str, Any]) -> SandboxPolicy:
    return replace(VALID, **{name: tuple(each) if type(each) is list else each for name, each in change.items()})


@pytest.mark.parametrize("field", ["memory_bytes", "cpu_seconds", "open_files", "file_bytes", "processes"])
@pytest.mark.parametrize("value", [-1, 1.5, True, "1", 1 << 63, None])
def test_limits_are_whole_positive_numbers(field: str, value: object) -> None:
    with pytest.raises(UsageError):
        Limits(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, -1.0])
def test_wall_time_is_finite_and_positive(value: float) -> None:
    with pytest.raises(UsageError):
        Limits(wall_seconds=value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["/", "/etc", "A"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([each.name for each in fields(VALID)]), anything, min_size=1, max_size=3))
def test_a_policy_takes_only_whole_paths_whatever_is_changed(change: dict[str, Any]) -> None:
    try:
        policy = changed(change)
    except UsageError:
        return
    for path in (*policy.read, *policy.write, *policy.import_paths, policy.scratch):
        assert path == os.path.normpath(path)
        assert os.path.isabs(path)


parts = st.sampled_from([".", "..", "etc", "home", "proc", "usr", "tmp", "work", "a", "", "root", "~", "\0", "dev"])


@given(st.lists(parts, max_size=6).map(lambda each: "/" + "/".join(each)), st.sampled_from(["read", "write"]))
def test_no_spelling_of_a_path_opens_what_lies_above_a_hidden_one(path: str, field: str) -> None:
    try:
        policy = replace(VALID, **{field: (path,)})
    except UsageError:
        return
    (kept,) = getattr(policy, field)
    assert kept == os.path.normpath(kept)
    for hidden in (
        "/etc/shadow",
        "/proc/1/mem",
        "/dev/tty",
        "/run/docker.sock",
        "/usr/bin/x",
        "/home/user",
        "/home/user/.ssh",
    ):
        assert not is_beneath(hidden, kept) or kept == hidden
