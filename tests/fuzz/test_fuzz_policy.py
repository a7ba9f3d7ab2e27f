"""What a manifest may ask for and a user may grant: the permission grammar, and the policies made of it.

The oracle works on the file system alone: it asks which places a policy opens, and what lies there.
"""

from __future__ import annotations

import copy
import os
import random
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from fuzzing import fuzz, mutated
from hypothesis import strategies as st

from proxima.errors import UsageError
from proxima.paths import Paths
from proxima.permissions.grammar import KINDS, Permission
from proxima.sandbox.policy import Limits, SandboxPolicy, compile_policy, runtime_paths

SECRET = (".ssh", ".gnupg", ".aws", ".config/gh", ".mozilla", ".netrc", ".bash_history")
SYSTEM = ("/", "/etc", "/proc", "/sys", "/dev", "/run", "/var", "/root", "/boot", "/home", "/tmp", "/usr", "/opt")


class Home:
    """A home directory with work, secrets, Proxima's own files, and links that lead from the one to the others."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.work = self.home / "work"
        for name in ("work/sub/deep", "work/.venv", "other", *SECRET, *(f"proxima/{x}" for x in Paths.__slots__)):
            (self.home / name).mkdir(parents=True)
        self.code = self.home / "proxima/data/plugins/x"
        self.scratch = self.home / "proxima/cache/scratch"
        self.code.mkdir(parents=True)
        self.scratch.mkdir()
        (self.work / "file").touch()
        links = {
            "up": "..",
            "home": self.home,
            "key": self.home / ".ssh",
            "own": self.home / "proxima/data",
            "root": "/",
        }
        for name, target in {**links, "loop": "loop", "good": "sub", "etc": "/etc", "proc": "/proc/self"}.items():
            (self.work / name).symlink_to(target)
        self.paths = Paths.under(str(self.home / "proxima"))
        own = [self.home / "proxima" / name for name in Paths.__slots__]
        self.hidden = [path.resolve() for path in (*(self.home / name for name in SECRET), *own)]

    def forbidden(self, path: str) -> str:
        """Why no grant may open a place, or an empty string."""
        real = Path(path).resolve()
        if str(real) != path:
            return f"{path} is really {real}"
        if path in SYSTEM or any(real.is_relative_to(each) for each in ("/proc", "/sys", "/dev", "/run")):
            return f"{path} is the system's"
        if self.home.resolve().is_relative_to(real):
            return f"{path} holds the home directory"
        for each in self.hidden:
            if each.is_relative_to(real) or real.is_relative_to(each):
                return f"{path} meets {each}"
        return ""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("fuzz"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(made.home))
        patch.setenv("PROXIMA_HOME", str(made.home / "proxima"))
        yield made


STEPS = [
    *(
        "work",
        "sub",
        "deep",
        "up",
        "home",
        "key",
        "own",
        "root",
        "loop",
        "good",
        "etc",
        "proc",
        "file",
        "none",
        ".",
        "..",
    ),
    *("", "proxima", "data", "cache", "config", "other", ".venv", *SECRET, "tmp", "usr", "~", "\0", "\n", "a" * 300),
]
WORDS = [
    *KINDS, *("workspace", "all", "terminal.run", "git *", "*", "?", "[a]", ";", "a.b.c:", "~", "~/work", "~root"),
    *("example.org", "EXAMPLE.org.", "localhost", "127.0.0.1", "127.1", "0x7f.1", "2130706433", "::1", "[::1]"),
    *("1.2.3", "xn--a", "ü.org", "a_b.org", "-a.org", "169.254.169.254", "8.8.8.8", "host.local", "a" * 64),
    *("443", "0", "65536", "٤٤٣", "00443", "+443", "IBM_TOKEN", "ibm"),
    *("A B", "\u202e", "\0", " ", "\t", "/", "/etc", "//", "/.."),
]  # fmt: skip


def path_in(home: Home, rng: random.Random) -> str:
    start = rng.choice([str(home.work), str(home.home), "/", "~", str(home.home.parent), "//", ""])
    return "/".join([start, *rng.choices(STEPS, k=rng.randint(0, 4))])


def text_of(home: Home, rng: random.Random) -> str:
    """Something like a permission."""
    if rng.random() < 0.4:
        return f"{rng.choice(['file_read', 'file_write'])}:{path_in(home, rng)}"
    if rng.random() < 0.5:
        return f"{rng.choice(KINDS)}{rng.choice(['', ':'])}{':'.join(rng.choices(WORDS, k=rng.randint(0, 2)))}"
    return "".join(rng.choices([*WORDS, ":", ":", "."], k=rng.randint(0, 6)))


def test_any_text_is_refused_or_a_permission_in_canonical_form(home: Home) -> None:
    def any_permission(value: int | str) -> None:
        rng = random.Random(value)
        text = value if isinstance(value, str) else text_of(home, rng)
        try:
            permission = Permission.parse(text)
        except UsageError:
            return
        written = str(permission)
        assert written.isprintable()
        assert Permission.parse(written) == permission == Permission.stored(written)
        assert permission.covers(permission)
        assert permission.risk in ("low", "medium", "high", "critical")
        assert permission.describe().isprintable()
        if permission.kind in ("file_read", "file_write") and permission.value not in ("workspace", "all"):
            assert not home.home.resolve().is_relative_to(permission.value)
            assert permission.risk in ("medium", "high")
        if permission.kind == "network" and permission.value:
            assert re.fullmatch(r"[a-z0-9.-]+(:[1-9][0-9]{0,4})?", permission.value, re.ASCII)
        try:
            other = Permission.parse(text_of(home, rng))
        except UsageError:
            return
        if permission.covers(other):
            assert permission.kind == other.kind
            assert permission == other or wider(permission, other)

    assert fuzz(0.13, any_permission) > 0
    assert fuzz(0.02, any_permission, st.text(max_size=40)) > 0


def wider(permission: Permission, other: Permission) -> bool:
    """Whether one permission says more than another of its kind, without asking it."""
    if permission.kind in ("file_read", "file_write"):
        return permission.value == "all" or Path(other.value).is_relative_to(permission.value)
    if permission.kind == "network":
        public = re.fullmatch(r"[a-z0-9.-]+\.[a-z0-9-]+", other.value) and "localhost" not in other.value
        return permission.value == "" and bool(public)
    pattern = ".*".join(map(re.escape, permission.value.split("*")))
    return permission.value == "" or re.fullmatch(pattern, other.value) is not None


def test_no_grants_open_more_than_they_say(home: Home) -> None:
    base = set(runtime_paths())

    def any_grants(value: int) -> None:
        rng = random.Random(value)
        granted = []
        for _ in range(rng.randint(0, 4)):
            if rng.random() < 0.4:  # as a database that somebody wrote to might have it
                granted.append(Permission(rng.choice(["file_read", "file_write"]), path_in(home, rng)))
                continue
            try:
                granted.append(Permission.parse(text_of(home, rng)))
            except UsageError:
                continue
        workspace = rng.choice([str(home.work), str(home.work), str(home.home), "/", None, path_in(home, rng)])
        tier = rng.choice("ABC")
        try:
            policy = compile_policy(
                "x", granted, import_paths=[str(home.code)], scratch=str(home.scratch), workspace=workspace,
                paths=home.paths, limits=Limits(), tier=tier, threads=1,
            )  # fmt: skip
        except UsageError:
            return
        meant = {kind: places(home, granted, kind, workspace) for kind in ("file_read", "file_write")}
        for path in set(policy.read) - base:
            assert path in meant["file_read"], f"{path} is not among {granted}"
            assert home.forbidden(path) == ""
        for path in policy.write:
            assert path in meant["file_write"], f"{path} is not among {granted}"
            assert home.forbidden(path) == ""
            assert not home.code.resolve().is_relative_to(path)
            assert not Path(path).is_relative_to("/usr")
        kinds = {permission.kind for permission in granted}
        assert policy.subprocess == ("subprocess" in kinds)
        assert not policy.subprocess or tier == "A"
        assert policy.gpu == ("gpu" in kinds)
        assert set(policy.network) == {each.value for each in granted if each.kind == "network"}
        assert policy.import_paths == (str(home.code.resolve()),)
        assert policy.scratch == str(home.scratch.resolve())

    assert fuzz(0.1, any_grants) > 0


def places(home: Home, granted: list[Permission], kind: str, workspace: str | None) -> set[str]:
    """The places that permissions of a kind name, once links are followed."""
    named = {workspace if each.value == "workspace" else each.value for each in granted if each.kind == kind}
    return {os.path.realpath(name) for name in named if name is not None and os.path.isabs(name) and "\0" not in name}


def test_any_field_is_refused_or_names_whole_paths(home: Home) -> None:
    valid = SandboxPolicy(
        plugin="x", tier="A", read=("/opt/lib", "/usr/lib/python3"), write=(str(home.work),), scratch="/tmp/x/y",
        import_paths=("/opt/code",), network=("example.org",), subprocess=True, gpu=True, limits=Limits(), threads=2,
    )  # fmt: skip
    plain = {each.name: getattr(valid, each.name) for each in fields(valid) if each.name != "limits"}
    plain = {name: list(each) if type(each) is tuple else each for name, each in plain.items()}

    def any_policy(value: int) -> None:
        rng = random.Random(value)
        changed: Any = mutated(copy.deepcopy(plain), rng, [plain])
        if not isinstance(changed, dict):
            return
        if rng.random() < 0.3:
            changed[rng.choice(["read", "write", "scratch"])] = rng.choice([[path_in(home, rng)], path_in(home, rng)])
        known = {name: each for name, each in changed.items() if name in plain}
        try:
            policy = replace(valid, **{k: tuple(each) if type(each) is list else each for k, each in known.items()})
        except UsageError:
            return
        for path in (*policy.read, *policy.write, *policy.import_paths, policy.scratch):
            assert os.path.isabs(path)
            assert path == os.path.normpath(path)
            assert path not in SYSTEM
            assert not path.startswith(("/proc/", "/sys/", "/dev/", "/run/", "//"))

    assert fuzz(0.04, any_policy) > 0
    assert fuzz(0.01, any_policy, st.text(max_size=60)) > 0
