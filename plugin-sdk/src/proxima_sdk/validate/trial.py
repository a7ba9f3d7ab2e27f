"""Trying a plugin in a locked worker, with this environment's packages or with those that the store would give it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxima.errors import DeadlineExceededError, NotFoundError, UnavailableError
from proxima.paths import Paths
from proxima.plugins.manifest import Manifest
from proxima.store.errors import ConflictError
from proxima.store.job import Job
from proxima.store.probe import ProbeReport, probe
from proxima.store.problems import Level, Problem, WheelError
from proxima.store.sources import Source
from proxima.store.wheel import WheelFile
from proxima_sdk.requirements import unmet

if TYPE_CHECKING:
    from proxima.sandbox.probe import HostSupport
    from proxima.store.install import Store


def unlocked(host: HostSupport) -> ProbeReport | None:
    """What a trial comes to where nothing can lock a worker, of which the plugin knows nothing; else ``None``."""
    if host.tier != "C":
        return None
    message = f"not tried: this host cannot lock a worker ({'; '.join(host.reasons)})"
    return _only("host", message, "warning", "`proxima doctor` says what to do; the store tries it on a host that can")


def try_wheel(
    wheel: WheelFile, manifest: Manifest, host: HostSupport, store: Store, say: Callable[[str], object]
) -> ProbeReport:
    """Loads a wheel's plugin in a locked worker.

    Where this environment lacks what it depends on, that is resolved and laid out as the store would, in a directory
    that is gone afterwards.

    Args:
        wheel: One without errors, which holds a plugin.
        manifest: Its own.
        host: What this host enforces.
        store: Whose options and cache hold.
        say: Told what takes a while.
    """
    if nothing := unlocked(host):
        return nothing
    target, missing = wheel.entry_points[0][1], list(unmet(wheel.requires))
    with tempfile.TemporaryDirectory(prefix="proxima-validate-") as folder:
        if not missing:
            site = os.path.join(folder, "site")
            wheel.unpack(site)
            return probe(site, manifest, target, host=host, environment=True)
        say(f"this environment lacks {', '.join(missing)}: resolving what the store would install")
        layout = store.layout._replace(root=os.path.join(folder, "store"))
        bench = store.options.workbench(layout, store.paths)
        source = Source("wheel", os.path.abspath(wheel.path))
        job = Job(deadline=time.monotonic() + store.options.seconds)
        try:
            closure, wheels = bench.fetch(bench.resolve(source, job), job)
            room = Paths.ensure(os.path.join(folder, "room"))
            made = bench.lay_out(closure, wheels, source, False, room, job)
        except (ConflictError, NotFoundError, WheelError) as error:
            return _only("dependencies", f"cannot be installed: {error.message}", "error", error.hint or "")
        except (UnavailableError, DeadlineExceededError, OSError) as error:
            why = f"not tried: this environment lacks {', '.join(missing)}, and it cannot be had: {error}"
            return _only("not-tried", why, "warning", getattr(error, "hint", None) or "")
        try:
            report = probe(made.site, manifest, target, host=host)
        finally:
            made.discard()
    names = ", ".join(f"{pin.name} {pin.version}" for pin in closure.pins if pin is not closure.own)
    note = Problem("tried", f"with what the store would install beside it: {names}", level="note")
    return report._replace(problems=(*report.problems, note))


def _only(code: str, message: str, level: Level, hint: str) -> ProbeReport:
    return ProbeReport((Problem(code, message, level=level, hint=hint),), 0.0, ())
