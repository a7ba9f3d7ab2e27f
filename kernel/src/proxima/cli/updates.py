"""Newer versions of plugins: looked for as often as the user has set, in a process of its own, and told of once a day.

After a command, `after_command` tells of what was found and, where the time has come, starts a process that looks. It
ends by itself; no command waits for it or fails because of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from proxima.cli.output import ProgressLine, clean
from proxima.errors import ProximaError, StorageError
from proxima.paths import Paths
from proxima.storage import locked, write_atomic
from proxima.store.job import Job

if TYPE_CHECKING:
    from proxima.kernel import Kernel
    from proxima.permissions import Permission
    from proxima.store.proposal import Proposal

PERIODS = {"never": float("inf"), "daily": 86400.0, "weekly": 7 * 86400.0}
_DAY = 86400.0

Found = dict[str, tuple[str, str]]
"""A plugin to its version now and the newest."""


def look(kernel: Kernel, names: Sequence[str], progress: ProgressLine) -> tuple[Found, dict[str, ProximaError]]:
    """Asks where each plugin came from what is newest; and which could not be asked about, and why."""
    now = {each.plugin: each.version for each in kernel.store.installed()}
    found: Found = {}
    failed: dict[str, ProximaError] = {}
    for number, name in enumerate(names):
        progress(number / len(names), f"looking for newer versions of {name}")
        try:
            newest = kernel.store.newer(name, job=Job(progress=progress))
        except ProximaError as error:
            failed[name] = error
        else:
            if newest:
                found[name] = (now[name], newest)
    return found, failed


def remember(kernel: Kernel, found: Found) -> None:
    """Keeps what was found, for `after_command` to tell."""
    _change(kernel, {"checked": time.time(), "newer": {name: newest for name, (_, newest) in found.items()}})


def forget(kernel: Kernel, names: Collection[str]) -> None:
    """These are the newest now."""
    newer = _read(kernel).get("newer", {})
    left = {name: version for name, version in newer.items() if name not in names}
    if left != newer:
        _change(kernel, {"newer": left})


def after_command(kernel: Kernel) -> None:
    """Tells of newer versions, and starts looking for them where the time has come."""
    with suppress(ProximaError, OSError):  # whatever is wrong here is not what the user asked for
        table = kernel.own_settings.get("store")
        period = PERIODS.get(str(table.get("update_check", "never"))) if isinstance(table, dict) else None
        if period is None or period == float("inf"):
            return
        known, now = _read(kernel), time.time()
        if known.get("newer") and now - known.get("told", 0.0) > _DAY and sys.stderr and sys.stderr.isatty():
            names = ", ".join(f"{clean(name)} {clean(version)}" for name, version in sorted(known["newer"].items()))
            print(f"proxima: newer plugins: {names}. See `proxima plugin update --check`.", file=sys.stderr)
            _change(kernel, {"told": now})
        if now - max(known.get("checked", 0.0), known.get("started", 0.0)) > period:
            _change(kernel, {"started": now})
            subprocess.Popen(
                [sys.executable, "-P", "-m", "proxima", "plugin", "update", "--all", "--in-background"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip


def in_background(kernel: Kernel) -> int:
    """Looks and, where the user has set it so, updates the plugins whose new version asks for nothing new."""
    with ProgressLine() as progress:
        found, _ = look(kernel, [each.plugin for each in kernel.store.installed()], progress)
    remember(kernel, found)
    if kernel.store.options.update == "auto":
        for name in [each.plugin for each in kernel.store.installed() if each.plugin in found and not each.trusted]:
            with suppress(ProximaError):  # the store's history has what failed
                kernel.store.update(name, consent=_nothing_new)
                forget(kernel, [name])
    return 0


def _nothing_new(proposal: Proposal) -> Collection[Permission] | None:
    """Accepts what is held to permissions that were all decided: else the old one runs on until the user is asked."""
    return None if proposal.asked or proposal.trusted else ()


def _file(kernel: Kernel) -> str:
    return os.path.join(kernel.paths.state, "updates.json")


def _read(kernel: Kernel) -> dict[str, Any]:
    """What is remembered; nothing where the file is none of ours."""
    try:
        with open(_file(kernel), encoding="utf-8") as file:
            known = json.load(file)
    except (OSError, ValueError):
        return {}
    sound = isinstance(known, dict) and isinstance(known.get("newer", {}), dict)
    times = [known.get(key, 0.0) for key in ("checked", "started", "told")] if sound else [None]
    return known if all(isinstance(each, float) for each in times) else {}


def _change(kernel: Kernel, values: dict[str, Any]) -> None:
    try:
        with locked(Paths.ensure(kernel.paths.state)):
            write_atomic(_file(kernel), json.dumps(_read(kernel) | values))
    except OSError as error:
        raise StorageError(f"cannot write {_file(kernel)}: {error.strerror}") from error
