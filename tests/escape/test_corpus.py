"""No row of the corpus escapes, at either tier, for either user; and each would, if nothing held it."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from proxima.sandbox.probe import HostSupport, probe

HERE = Path(__file__).parent
ORDINARY = 65533

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the lock has only run on Linux on x86_64"
)


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"escape_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


corpus = _load("corpus")
USERS = [0, ORDINARY] if sys.platform == "linux" and os.geteuid() == 0 else [0]  # 0: stays whoever runs the tests
REFUSED = {"EPERM", "ENOENT", "EBADF", "EAGAIN", "ENOMEM", "EACCES", "EINVAL", "EXDEV", "EMFILE", "EFBIG", "EROFS",
           "ENOSYS", "ESRCH", "ETOOMANYREFS", "ENOTDIR"}  # fmt: skip
TYPED = {"PermissionDeniedError", "KeyError", "UsageError", "NotFoundError", "ProtocolError",
         "ResourceError"}  # fmt: skip


RAN: dict[tuple[str | None, int], dict[str, Any]] = {}


@cache
def host() -> HostSupport:
    return probe()


@cache
def arena(tier: str | None, uid: int) -> dict[str, Any]:
    """What came of every row; one process, with its own kernel, for each tier and user."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PROXIMA_", "COV_"))}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(HERE / "arena.py"), json.dumps({"tier": tier, "uid": uid})],
        capture_output=True,
        text=True,
        env=environment,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    RAN[tier, uid] = found
    return found


def name_of(uid: int) -> str:
    return "ordinary" if uid else "root" if os.geteuid() == 0 else "self"


def is_stopped(row: Any, tier: str, answer: dict[str, Any]) -> bool:
    """Whether it failed for the reason that it should, not because the attempt is broken."""
    import errno

    if row.side == "kernel":
        return answer.get("type") == "Stopped"
    if row.side == "wire":
        return answer.get("type") in row.expected and answer["plugin"] == "hostile" and answer["fds"] <= 0
    if "kills" in row.decides:
        return answer.get("type") == "CrashedError" and "system call that no plugin may make" in answer["error"]
    if answer.get("errno") is not None:
        return errno.errorcode.get(answer["errno"]) in REFUSED
    return answer.get("type") in TYPED or "not allowed to raise" in answer.get("error", "")


USER = pytest.mark.parametrize("uid", USERS, ids=name_of)


def require(tier: str) -> None:
    # Tests run by root put Python within every user's reach themselves, without which root's tier B does not work.
    if tier < host().tier and not (tier == "B" and os.geteuid() == 0):
        pytest.skip(f"this host gives tier {host().tier}: {'; '.join(host().reasons)}")


@USER
@pytest.mark.parametrize("row", corpus.ROWS, ids=lambda row: row.id)
def test_control_escapes_where_nothing_holds_it(row: Any, uid: int) -> None:
    if not row.has_control:
        pytest.skip(row.no_control)
    if row.root_control and (uid or os.geteuid()):
        pytest.skip("an ordinary user cannot do this anyway")
    answer = arena(None, uid)[row.id]
    assert "ok" in answer, answer


@USER
@pytest.mark.parametrize("tier", ["A", "B"])
@pytest.mark.parametrize("row", corpus.ROWS, ids=lambda row: row.id)
def test_row_does_not_escape(row: Any, tier: str, uid: int) -> None:
    require(tier)
    if tier == "B" and row.only_a:
        pytest.skip("it needs a permission that tier B never grants")
    answer = arena(tier, uid)[row.id]
    if row.unpromised or (tier == "B" and row.beyond_b):
        # So that the list stays true: it does succeed, unless the file modes of root's files hide them too.
        assert "ok" in answer or (not uid and os.geteuid() == 0 and answer["errno"] == 13), answer
        return
    assert "ok" not in answer, answer
    assert is_stopped(row, tier, answer), answer


@pytest.fixture(scope="module", autouse=True)
def _summary(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    lines = [f"{len(corpus.ROWS)} rows, {sum(row.has_control for row in corpus.ROWS)} with a control"]
    rows = {row.id: row for row in corpus.ROWS}
    for (tier, uid), found in sorted(RAN.items(), key=str):
        out = [name for name, each in found.items() if "ok" in each]
        if tier is None:
            lines.append(f"controls as {name_of(uid)}: {len(out)} escaped")
            continue
        beyond = [name for name in out if rows[name].unpromised or (tier == "B" and rows[name].beyond_b)]
        lines.append(
            f"tier {tier} as {name_of(uid)}: {len(out) - len(beyond)} escaped of {len(found)}, "
            f"and {len(beyond)} that it does not promise to stop"
        )
    lines += [f"not tried: {what}: {why}" for what, why in corpus.OUTSIDE.items()]
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        reporter.write_line("")
        for line in lines:
            reporter.write_line(line)
