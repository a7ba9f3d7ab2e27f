"""What this host can hold a plugin to: really tried, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from typing import Any, NamedTuple

from proxima.sandbox.policy import Tier, runtime_paths

_DEADLINE_S = 20
_TRIAL = "import sys; sys.path.insert(0, sys.argv[1]); from proxima.sandbox.linux.trial import main; main(sys.argv[2:])"


class HostSupport(NamedTuple):
    """What a lock on this host can enforce.

    Attributes:
        tier: The best tier that a trial lock gave and that held in its self-test.
        landlock_abi: The kernel's Landlock version; 0 where there is none.
        seccomp: Whether the kernel has seccomp filters.
        namespaces: Whether this user may have namespaces.
        reasons: Why it is not tier A, one sentence for each tier that failed.
        hints: What to do about it.
    """

    tier: Tier
    landlock_abi: int
    seccomp: bool
    namespaces: bool
    reasons: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


BEST = HostSupport("A", landlock_abi=6, seccomp=True, namespaces=True)
"""What tier A needs, for who would rather have the lock fail than ask beforehand."""


def probe() -> HostSupport:
    """Try the tiers from the best down, each in a fresh interpreter; takes a few hundred milliseconds.

    This process itself is not changed. The answer holds until the host changes; the caller keeps it.
    """
    if sys.platform != "linux":
        reason = f"{platform.system()} has no Landlock, seccomp and namespaces"
        return HostSupport("C", 0, False, False, (reason,), ("Run Proxima on Linux, or in a Linux virtual machine.",))
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found: dict[str, Any] = {"landlock_abi": 0, "seccomp": False}
    reasons: list[str] = []
    hints: list[str] = []
    namespaces = False
    best: Tier = "C"
    tiers: tuple[Tier, ...] = ("A", "B")
    for tier in tiers:
        answer = _try(tier, source)
        found = {name: answer.get(name, value) for name, value in found.items()}
        namespaces = namespaces or bool(answer.get("namespaces"))
        if answer.get("locked"):
            best = tier
            break
        step, why = str(answer.get("step", "start")), str(answer.get("error", "no answer"))
        reasons.append(f"tier {tier}: {step}: {why}")
        hints += [hint for hint in _remedies(tier, step, answer) if hint not in hints]
    return HostSupport(best, found["landlock_abi"], found["seccomp"], namespaces, tuple(reasons), tuple(hints))


def _try(tier: Tier, source: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="proxima-probe-") as directory:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-B", "-c", _TRIAL, source, tier, directory, json.dumps(runtime_paths())],
                capture_output=True,
                env={},
                stdin=subprocess.DEVNULL,
                timeout=_DEADLINE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return {"error": f"the trial did not run: {error}"}
    with contextlib.suppress(ValueError):
        answer = json.loads(done.stdout)
        if isinstance(answer, dict):
            return answer
    tail = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return {"error": f"the trial ended with status {done.returncode}{': ' + tail[0] if tail else ''}"}


def _remedies(tier: Tier, step: str, answer: dict[str, Any]) -> list[str]:
    """What to do about a failed trial, from what the host says of itself."""
    hint = answer.get("hint")
    if step == "view":
        return [_landlock_remedy(int(answer.get("landlock_abi", 0)))]
    if step == "seccomp":
        return ["Use a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64."]
    if step in ("namespaces", "root directory", "process namespace"):
        return _namespace_remedies()
    return [str(hint)] if hint else [f"Report this with the output of `proxima doctor`: tier {tier}, step {step}."]


def _landlock_remedy(abi: int) -> str:
    release = platform.release()
    if abi:
        return f"Use Linux 6.12 or later for tier A; this is {release} with Landlock {abi}."
    modules = _read("/sys/kernel/security/lsm")
    if modules and "landlock" not in modules:
        return f"Start the kernel with `lsm=landlock,{modules}`; it was built with Landlock but started without."
    if _in_container():
        return "Let the container's seccomp profile allow the three landlock_ system calls, as Docker 23 and later do."
    return f"Use Linux 5.13 or later, built with CONFIG_SECURITY_LANDLOCK; this is {release}."


def _namespace_remedies() -> list[str]:
    hints = []
    if _read("/proc/sys/user/max_user_namespaces") == "0":
        hints.append("Allow user namespaces: `sysctl user.max_user_namespaces=10000`.")
    if _read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        hints.append("Allow user namespaces: `sysctl kernel.unprivileged_userns_clone=1`.")
    if _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        hints.append(
            "AppArmor keeps user namespaces from programs without a profile (Ubuntu 23.10 and later): add a profile "
            f"with `userns,` for {os.path.realpath(sys.executable)}, or "
            "`sysctl kernel.apparmor_restrict_unprivileged_userns=0` for every program."
        )
    if _in_container():
        hints.append(
            "A container's own seccomp profile forbids namespaces: give it one that allows unshare, setns, clone, "
            "mount, move_mount, open_tree, mount_setattr and pivot_root; tier B works without."
        )
    return hints or ["Ask who runs this host why this user may not have namespaces; tier B works without."]


def _in_container() -> bool:
    return any(os.path.exists(path) for path in ("/.dockerenv", "/run/.containerenv")) or "container" in os.environ


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
