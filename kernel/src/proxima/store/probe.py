"""Tries a plugin before it is put in place: in a locked worker of its own, with nothing granted and nothing kept.

Whatever it does there, the kernel that asks imports none of it, quarantines nothing and asks the user nothing.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from proxima.errors import ManifestError, ProximaError
from proxima.plugins.manifest import Contribution, Manifest
from proxima.plugins.scan import scan
from proxima.sandbox.errors import LockError
from proxima.store.problems import Problem

if TYPE_CHECKING:
    from proxima.kernel import Kernel
    from proxima.plugins.registry import PluginRecord
    from proxima.sandbox.host import Worker
    from proxima.sandbox.isolation import Isolation
    from proxima.sandbox.launching import Launched
    from proxima.sandbox.probe import HostSupport

SECONDS = 60.0


class ProbeReport(NamedTuple):
    """What a trial showed.

    Attributes:
        problems: Errors, why the plugin must not be put in place; and notes on what was not tried, and why.
        seconds: How long it took.
        contributions: Those that the manifest declares and the plugin has, as ``(kind, name)``.
        traceback: The plugin's own, where it raised.
    """

    problems: tuple[Problem, ...]
    seconds: float
    contributions: tuple[tuple[str, str], ...]
    traceback: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(problem.level == "error" for problem in self.problems)


def probe(
    site: str | os.PathLike[str],
    manifest: Manifest,
    target: str,
    *,
    host: HostSupport | None = None,
    environment: bool = False,
    allow_tier_c: bool = False,
    seconds: float = SECONDS,
) -> ProbeReport:
    """Tries a plugin.

    Args:
        site: Its import root, with its metadata; what it depends on lies there too, or is linked beside it.
        manifest: What it declares.
        target: Its entry point, ``module:object``.
        host: What this host enforces, as `Isolation.host` knows it; found out anew by default, which takes longer.
        environment: Also let it import from this interpreter's site-packages: for a wheel without its dependencies.
        allow_tier_c: Go on where nothing can lock the worker.
        seconds: The most that importing it, or one of its calls, may take.
    """
    with Prober(host=host, allow_tier_c=allow_tier_c, seconds=seconds) as prober:
        return prober(os.fspath(site), manifest, target, environment)


class Prober:
    """Where a plugin is tried: a kernel with a home of its own, which is gone afterwards.

    Args:
        host: See `probe`; so also for the others.
        zygote: One that may have been started already, taken over.
        directory: Where it keeps its files while it lives; the system's own for such by default.
    """

    def __init__(
        self,
        *,
        host: HostSupport | None = None,
        allow_tier_c: bool = False,
        seconds: float = SECONDS,
        zygote: Launched | None = None,
        directory: str | None = None,
    ) -> None:
        self._host = host
        self._allow_tier_c = allow_tier_c
        self._flags = {
            "plugins.import_seconds": seconds,
            "limits.maximum.wall_seconds": seconds,
            "limits.maximum.cpu_seconds": 600,
        }
        self._zygote = zygote
        self._directory = directory
        self._kernel: Kernel | None = None
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all that a trial takes; another one would start it anew."""
        self._resources.close()
        self._kernel = self._zygote = None

    @property
    def always_locks(self) -> bool:
        """Whether nothing is tried where nothing can lock the worker."""
        return not self._allow_tier_c

    def load(self) -> None:
        """Imports what every trial needs, and makes what watches it; while other processes are waited for."""
        for module in ("proxima.sandbox.proxies", "proxima.store.smoke"):
            import_module(module)
        _ = self._open().isolation.supervisor

    def expect(self, numpy: str) -> None:
        """Starts what else the trial of a plugin needs that brings this version of numpy."""
        from proxima.sandbox.imports import is_own_numpy

        if is_own_numpy(numpy):
            self._open().isolation.supervisor.start_without_numpy()

    def __call__(self, site: str, manifest: Manifest, target: str, environment: bool = False) -> ProbeReport:
        """Tries one plugin; see `probe`."""
        started = time.perf_counter()
        trial = self._trial(site, manifest, target, environment)
        if trial.unlocked and self._host is None:
            from proxima.sandbox.probe import probe as host_support

            self.close()
            self._host = host_support()
            trial = self._trial(site, manifest, target, environment)
        bad = {problem.where for problem in trial.problems if problem.level == "error"}
        good = () if "" in bad else tuple((c.kind, c.name) for c in manifest.contributions if _where(c) not in bad)
        return ProbeReport(tuple(trial.problems), time.perf_counter() - started, good, trial.traceback)

    def _trial(self, site: str, manifest: Manifest, target: str, environment: bool) -> _Trial:
        kernel = self._open()
        registry = kernel.registry
        registry.path, registry.only = [site], [manifest.id]
        trial = _Trial(manifest, kernel.isolation)
        try:
            record = _record(registry.judge, site, manifest, target, environment)
            registry.records = {record.id: record}
            kernel.permissions.declare(record.id, record.version, manifest.permissions)
            trial.run(record, self._allow_tier_c)
        except ProximaError as error:
            trial.failed("load", error)
        return trial

    def _open(self) -> Kernel:
        if self._kernel is not None:
            return self._kernel
        from proxima.kernel import Kernel
        from proxima.paths import Paths
        from proxima.permissions import Permissions
        from proxima.sandbox.probe import BEST
        from proxima.sandbox.probe import probe as host_support
        from proxima.sandbox.spawn import Zygote

        made = tempfile.TemporaryDirectory(prefix="proxima-probe-", dir=self._directory)
        home = self._resources.enter_context(made)
        kernel = self._resources.enter_context(Kernel(paths=Paths.under(home), only=[], flags=self._flags))
        kernel.registry.path = []
        kernel.permissions = Permissions.open(None, publish=kernel.events.publish)
        # Nobody asks beforehand what this host has, which takes a process of its own: the lock of the best tier fails
        # where the host has less.
        kernel.isolation.host = self._host or (BEST if sys.platform == "linux" else host_support())
        kernel.isolation.zygote, self._zygote = Zygote(once=True, launched=self._zygote), None
        kernel.isolation.start()
        self._kernel = kernel
        return kernel


def _record(judge: Any, site: str, manifest: Manifest, target: str, environment: bool) -> PluginRecord:
    for found in scan([site]):
        if found.id == manifest.id and found.target == target:
            found.origin, found.trusted = "environment" if environment else "store", environment
            record: PluginRecord = judge(found, False, False)
            if error := record.error():
                raise error
            assert record.manifest is not None
            record.manifest = record.manifest._replace(permissions=())  # it is tried without any, and none is missed
            return record
    raise ManifestError(f"{site}: no distribution there has the plugin {manifest.id} = {target}")


class _Trial:
    """One plugin's trial, and what is found."""

    def __init__(self, manifest: Manifest, isolation: Isolation) -> None:
        self._manifest = manifest
        self._isolation = isolation
        self.problems: list[Problem] = []
        self.traceback = ""
        self.unlocked = False

    def failed(self, code: str, error: ProximaError, where: str = "") -> None:
        self.unlocked = self.unlocked or isinstance(error, LockError)
        self.problems.append(Problem(code, error.message, where, hint=error.hint or ""))
        self.traceback = self.traceback or (str(error.__cause__) if error.__cause__ else "")

    def run(self, record: PluginRecord, allow_tier_c: bool) -> None:
        from proxima.sandbox.interfaces import INTERFACES
        from proxima.sandbox.proxies import stand_in

        host = self._isolation.host
        if host.tier == "C" and not allow_tier_c:
            message = f"this host cannot lock a worker, so the plugin is not tried ({'; '.join(host.reasons)})"
            self.problems.append(Problem("host", message, hint="`proxima doctor` says what to do"))
            return
        worker = self._isolation.supervisor.start(record)
        try:
            for kind, name, wrong in _inspected(worker, self._manifest.contributions):
                self.problems.append(Problem("contract", wrong, f"{kind}: {name}"))
            plugin = stand_in(lambda: worker)
            shapeless = {problem.where for problem in self.problems}
            for contribution in self._manifest.contributions:
                if contribution.kind not in INTERFACES:
                    note = "runs in the kernel's process only: its class was looked at, and nothing of it was called"
                    self.problems.append(Problem("not-tried", note, _where(contribution), "note"))
                elif not worker.alive:
                    note = "the worker had ended by then"
                    self.problems.append(Problem("not-tried", note, _where(contribution), "note"))
                elif _where(contribution) not in shapeless:
                    made = next(
                        o for o in getattr(plugin, f"proxima_{contribution.kind}")() if o.name == contribution.name
                    )
                    self._smoke(contribution, made)
        finally:
            worker.stop()

    def _smoke(self, contribution: Contribution, made: Any) -> None:
        """Calls what costs nothing and needs nothing; an answer of another type ends the worker by itself."""
        from proxima.store.smoke import SMOKE

        where = _where(contribution)
        try:
            for problem in SMOKE[contribution.kind](made, contribution):
                self.problems.append(problem._replace(where=where))
        except ProximaError as error:
            self.failed("smoke", error, where)


def _inspected(worker: Worker, contributions: tuple[Contribution, ...]) -> Iterator[tuple[str, str, str]]:
    declared: tuple[Mapping[str, str], ...] = tuple(
        {"kind": c.kind, "name": c.name, "class": c.target, "contract": str(c.data.get("contract") or "")}
        for c in contributions
    )
    yield from worker.call("inspect", {"declared": declared}, returns=tuple[tuple[str, str, str], ...])


def _where(contribution: Contribution) -> str:
    return f"{contribution.kind}: {contribution.name}"
