"""The probe says what this host gives, and on hosts that give less why and what to do, tried on filtered kernels."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxima.sandbox.linux.limits import first_closed

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the lock has only run on Linux on x86_64"
)

ON_ANOTHER_HOST = """
import json, os, sys
import another_host
another_host.see(json.loads(sys.argv[2]), uid=int(sys.argv[1]), files=json.loads(sys.argv[3]))
from proxima.sandbox.probe import probe
before = os.listdir("/proc/self/task"), open("/proc/self/status").read().count("Seccomp_filters:\\t1")
support = probe()
assert before == (os.listdir("/proc/self/task"), open("/proc/self/status").read().count("Seccomp_filters:\\t1"))
print(json.dumps(support._asdict()))
"""
ORDINARY = 65533 if hasattr(os, "geteuid") and os.geteuid() == 0 else 0


def probed(
    denied: dict[str, int] | None = None, *, uid: int = ORDINARY, files: dict[str, str] | None = None
) -> dict[str, Any]:
    path = [str(Path(__file__).parent), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", ON_ANOTHER_HOST, str(uid), json.dumps(denied or {}), json.dumps(files or {})],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("uid", sorted({0, ORDINARY}))
def test_says_tier_a_only_with_all_its_parts(uid: int) -> None:
    support = probed(uid=uid)
    if support["tier"] == "A":
        assert support["namespaces"]
        assert support["seccomp"]
        assert support["landlock_abi"] >= 6
        assert support["reasons"] == []
    else:
        assert support["reasons"]
        assert support["hints"]


def test_in_a_container_like_dockers_it_is_tier_b_and_says_why() -> None:
    calls = "unshare setns mount umount2 pivot_root open_tree move_mount mount_setattr fsopen keyctl bpf chroot"
    support = probed(dict.fromkeys((*calls.split(), "clone into namespaces"), 1))
    assert support["tier"] == "B"
    assert not support["namespaces"]
    assert support["landlock_abi"] >= 1
    assert support["reasons"] == ["tier A: namespaces: [Errno 1] clone: Operation not permitted"]
    assert support["hints"]


@pytest.mark.skipif(
    ORDINARY == 0 or first_closed(os.path.realpath(os.__file__)) is None, reason="every user may read this Python"
)
def test_root_without_namespaces_is_told_which_directory_is_closed_to_workers() -> None:
    support = probed({"clone into namespaces": 1}, uid=0)
    assert support["tier"] == "C"
    closed = first_closed(os.path.realpath(os.__file__))
    assert f"{closed} is closed to other users" in support["reasons"][1]
    assert any("below /opt" in hint for hint in support["hints"])


def test_without_mounts_it_is_tier_b() -> None:
    support = probed({"mount": 1, "pivot_root": 1})
    assert support["tier"] == "B"
    assert support["reasons"][0].startswith("tier A: root directory: ")
    assert support["hints"]


def test_with_user_namespaces_used_up_it_is_tier_b_and_names_the_setting() -> None:
    support = probed(files={"/proc/sys/user/max_user_namespaces": "0"})
    assert support["tier"] == "B"
    assert any("user.max_user_namespaces" in hint for hint in support["hints"])


def test_without_landlock_it_is_tier_c() -> None:
    support = probed({"landlock_create_ruleset": 38})
    assert (support["tier"], support["landlock_abi"]) == ("C", 0)
    assert any("andlock" in hint for hint in support["hints"])


def test_without_seccomp_it_is_tier_c() -> None:
    support = probed({"seccomp": 38})
    assert (support["tier"], support["seccomp"]) == ("C", False)
    assert any("CONFIG_SECCOMP_FILTER" in hint for hint in support["hints"])
