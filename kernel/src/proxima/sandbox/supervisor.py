"""`Supervisor`: the workers of one kernel, one for each sandboxed plugin, never shared."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxima.errors import PermissionDeniedError, ProximaError, StorageError, UsageError
from proxima.events import ErrorLine, OutputLine, ProcessCompleted, ProcessStarted
from proxima.permissions import Permission
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import LimitError, LockError, SandboxError
from proxima.sandbox.exits import explain, how_to_raise
from proxima.sandbox.holding import Holding
from proxima.sandbox.host import LOCK_SECONDS, Worker, handshake
from proxima.sandbox.imports import brings_numpy, import_paths
from proxima.sandbox.interfaces import INTERFACES
from proxima.sandbox.output import OutputPump
from proxima.sandbox.policy import Limits, SandboxPolicy, Tier, compile_policy
from proxima.sandbox.remote_errors import RemoteTraceback
from proxima.sandbox.rpc import Peer
from proxima.sandbox.scratch import ScratchSpace, delete_removed, remove_tree, trash_of, used_bytes
from proxima.sandbox.shm import BufferPool
from proxima.sandbox.spawn import Forked, Zygote

if TYPE_CHECKING:
    from proxima.events import Event
    from proxima.paths import Paths
    from proxima.permissions import Permissions
    from proxima.plugins.registry import PluginRecord, PluginRegistry

CRASHES, CRASH_SECONDS = 3, 60.0
"""So many crashes within so many seconds, and the plugin is quarantined until the user acts."""

_WATCH_SECONDS = 0.5

# Permissions that a worker is born with or without; the others are asked for when they are used.
_AT_BIRTH = ("file_read", "file_write", "subprocess", "gpu")


@dataclass(slots=True)
class _Seat:
    """One plugin's place: its worker, and its crashes."""

    starting: threading.Lock = field(default_factory=threading.Lock)
    worker: Worker | None = None
    crashes: deque[float] = field(default_factory=deque)


class Supervisor:
    """Starts workers on first use, watches over them, and ends them with the kernel.

    Args:
        registry: Plugins that crash too often are quarantined in it.
        limits: What a plugin may use up.
        tier: What this host enforces.
        seconds: How long importing a plugin may take.
        zygote: One that may have been started already, taken over; by default a new one.
        serve: Called with each new conversation and its policy, to serve what the worker may ask of the kernel.
        ended: Called with the plugin's id when its worker has ended.
    """

    def __init__(
        self,
        *,
        paths: Paths,
        registry: PluginRegistry,
        permissions: Permissions,
        publish: Callable[[Event], object],
        limits: Callable[[PluginRecord], Limits],
        settings: Callable[[PluginRecord], Mapping[str, object]],
        tier: Tier,
        seconds: float,
        zygote: Zygote | None = None,
        serve: Callable[[Peer, SandboxPolicy], object] | None = None,
        ended: Callable[[str], object] | None = None,
    ) -> None:
        self.tier: Tier = tier
        self._paths = paths
        self._registry = registry
        self._permissions = permissions
        self._publish = publish
        self._limits = limits
        self._settings = settings
        self._seconds = seconds
        self._serve = serve
        self._told_ended = ended
        self._lock = threading.Lock()
        self._seats: dict[str, _Seat] = {}
        self._watched: set[Worker] = set()
        self._scratch = ScratchSpace(paths, tier)
        self._canary = os.path.join(self._scratch.root, "canary")
        self._output: OutputPump | None = None
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None
        self.zygote = zygote or Zygote()
        self.zygote.on_start = self.zygote_started
        self._without_numpy = Zygote(self.zygote_started, numpy=False, once=self.zygote.once)

    def worker(self, record: PluginRecord) -> Worker:
        """The plugin's worker; started if it does not run.

        Raises:
            PluginError: The plugin is disabled or quarantined, or its worker could not be started.
        """
        seat = self._seat(record.id)
        worker = seat.worker
        if worker is not None and worker.alive:
            return worker
        with seat.starting:
            if seat.worker is not None and not seat.worker.alive:
                seat.worker.finish()  # what it had open is ended under the plugin's name, before the next one opens any
            if error := record.error():
                raise error
            if seat.worker is None or not seat.worker.alive:
                seat.worker = None
                seat.worker = self.start(record)
            return seat.worker

    def start_without_numpy(self) -> None:
        """Starts what a worker is forked from whose plugin brings its own numpy; errors are that worker's."""
        with suppress(SandboxError):
            self._without_numpy.start()

    def start(self, record: PluginRecord) -> Worker:
        """A new worker for a plugin, locked, verified and loaded.

        Raises:
            LockError: A step of the lock failed. The plugin is not loaded, at no lower tier either.
            SandboxError: It crashed, or contributes something else than its manifest says.
            PluginBrokenError: Importing it raised.
        """
        assert record.manifest is not None
        assert record.found is not None
        self._open()
        scratch = self._scratch.make(record.id)
        try:
            holding = Holding(self._permissions.grants, record.id)
            granted = self._granted(record)
            own = record.found.origin == "store" and brings_numpy(import_paths(record.found))
            worker = self._locked(self._policy(record, granted, scratch), self._without_numpy if own else self.zygote)
            worker.granted, worker.holding = tuple(granted), holding
            self._watched.add(worker)
        except BaseException as error:
            remove_tree(scratch)
            remove_tree(trash_of(scratch))
            if isinstance(error, LockError):
                self._record(record, "sandbox.lock", str(error))
            raise
        self._publish(ProcessStarted(source=record.id, process_id=worker.pid))
        kinds = tuple(dict.fromkeys(c.kind for c in record.manifest.contributions if c.kind in INTERFACES))
        try:
            worker.load(record.found.target, kinds, self._settings(record), self._seconds)
            _check_offers(record, worker)
        except BaseException as error:
            wanted = worker.wanted
            worker.stop()
            if isinstance(error, ProximaError) and not wanted:
                self._registry.mark_broken(record.id, f"loading it failed: {error}", _trace(error))
            raise
        return worker

    def restart(self, plugin: str) -> None:
        """Ends the plugin's worker; its next use starts one with what it is granted then."""
        seat = self._seat(plugin)
        with seat.starting:
            worker, seat.worker = seat.worker, None
            if worker is not None:
                worker.stop()

    def running(self, plugin: str) -> Worker | None:
        """The plugin's worker, if it has one."""
        worker = self._seat(plugin).worker
        return worker if worker is not None and worker.alive else None

    def close(self) -> None:
        """Ends every worker and the zygote, and removes their directories. May be called twice."""
        self._closed.set()
        with self._lock:
            seats = list(self._seats.values())
        for seat in seats:
            with seat.starting:
                if seat.worker is not None:
                    seat.worker.stop()
        self.zygote.close()
        self._without_numpy.close()
        if self._watch is not None:
            self._watch.join()
        if self._output is not None:
            self._output.close()
            self._scratch.close()

    def _seat(self, plugin: str) -> _Seat:
        with self._lock:
            return self._seats.setdefault(plugin, _Seat())

    def _open(self) -> None:
        with self._lock:
            if self._closed.is_set():
                raise SandboxError("the kernel is closing; no worker is started")
            if self._output is not None:
                return
            try:
                self._scratch.open()
                with open(self._canary, "w", encoding="utf-8") as file:
                    file.write("no plugin may read this\n")
            except OSError as error:
                raise StorageError(f"cannot make a directory for workers: {error}") from error
            self._output = OutputPump(self._publish)
            self._watch = threading.Thread(target=self._watch_workers, name="proxima-worker-watch", daemon=True)
            self._watch.start()

    def _policy(self, record: PluginRecord, granted: list[Permission], scratch: str) -> SandboxPolicy:
        assert record.found is not None
        limits = self._limits(record)
        return compile_policy(
            record.id,
            granted,
            import_paths=import_paths(record.found),
            scratch=scratch,
            workspace=os.getcwd(),
            paths=self._paths,
            limits=limits,
            tier=self.tier,
            threads=os.cpu_count() or 1,
        )

    def _granted(self, record: PluginRecord) -> list[Permission]:
        """What the worker is born with: the user is asked now for what cannot be given to it later."""
        assert record.manifest is not None
        granted = []
        for text in record.manifest.permissions:
            try:
                permission = Permission.parse(text)
            except UsageError:
                continue  # refused by the grammar: never granted
            outcome = self._permissions.grants.check(record.id, permission).outcome
            if permission.kind not in _AT_BIRTH:
                if outcome == "granted" or (permission.kind == "network" and outcome == "undecided"):
                    granted.append(permission)
                continue
            if outcome == "undecided":
                try:
                    self._permissions.use(record.id, text, reason=f"{record.id} starts")
                except PermissionDeniedError as error:
                    logging.getLogger("proxima").warning("%s starts without %s; %s", record.id, permission, error.hint)
                    continue
            # Where a part of it is denied, the broker looks at each file.
            if outcome in ("undecided", "granted") and not self._permissions.grants.denies_part(record.id, permission):
                granted.append(permission)
        return granted

    def _locked(self, policy: SandboxPolicy, zygote: Zygote) -> Worker:
        """Forks a worker and waits until it is locked, and looks whether that is true."""
        assert self._output is not None
        nonce = secrets.token_hex(16)
        forked = zygote.spawn(policy, self._canary, nonce)
        channel = Channel(forked.channel)
        worker: Worker | None = None

        def keep(line: str) -> None:
            if worker is not None:
                worker.last_words = line

        self._output.add(forked.stdout, policy.plugin, forked.process.pid, OutputLine)
        self._output.add(forked.stderr, policy.plugin, forked.process.pid, ErrorLine, keep)
        try:
            took = handshake(channel, forked, nonce, policy)
        except (ProximaError, OSError) as error:
            channel.close()
            raise self._stillborn(forked, policy, zygote, error) from error
        peer = Peer(channel, plugin=policy.plugin, buffers=BufferPool(), on_close=lambda error: made.hang_up(error))
        made = worker = Worker(policy, forked.process, peer, zygote, self._worker_ended, took)
        if self._serve is not None:
            self._serve(peer, policy)
        peer.start()
        return worker

    def _stillborn(self, forked: Forked, policy: SandboxPolicy, zygote: Zygote, error: Exception) -> SandboxError:
        """Ends a worker that did not get through the lock; why, as an error of the lock."""
        forked.process.kill()
        forked.process.wait(LOCK_SECONDS)
        ended = zygote.reap(forked.process)
        if isinstance(error, LockError):
            return error
        return LockError("handshake", f"{error}; {explain(policy, ended)}", plugin=policy.plugin)

    def _worker_ended(self, worker: Worker, error: SandboxError | None) -> None:
        plugin = worker.policy.plugin
        self._publish(ProcessCompleted(source=plugin, process_id=worker.pid, exit_code=0 if error is None else -9))
        if self._told_ended is not None:
            self._told_ended(plugin)
        if error is None:
            return
        record = self._registry.get(plugin)
        what = f"sandbox.limit:{error.limit}" if isinstance(error, LimitError) else f"sandbox.{error.code.lower()}"
        self._record(record, what, str(error))
        seat, now = self._seat(plugin), time.monotonic()
        seat.crashes.append(now)
        while seat.crashes and seat.crashes[0] < now - CRASH_SECONDS:
            seat.crashes.popleft()
        if len(seat.crashes) >= CRASHES:
            seat.crashes.clear()
            reason = f"its process failed {CRASHES} times within {CRASH_SECONDS:g} s, the last time because {error}"
            self._registry.mark_broken(plugin, reason, str(error))

    def _record(self, record: PluginRecord, what: str, target: str) -> None:
        try:
            self._permissions.audit.record(record.id, what, "blocked", version=record.version, target=target)
        except StorageError as error:
            self._publish(ErrorLine(source=record.id, process_id=0, text=f"not recorded: {target}: {error}"))

    def _watch_workers(self) -> None:
        """Ends a worker whose scratch directory holds too much, or that was granted more than still holds."""
        while not self._closed.wait(_WATCH_SECONDS):
            for worker in self._watched.copy():
                if worker.alive:
                    self._hold_to_grants(worker)
                else:
                    self._watched.discard(worker)
            for worker in self._watched.copy():
                if worker.alive:
                    _hold_to_quota(worker)

    def _hold_to_grants(self, worker: Worker) -> None:
        """Ends a worker that lost a permission, at once; its connections end with it. The next one has less."""
        assert worker.holding is not None
        try:
            taken_back = ", ".join(map(str, worker.holding.taken_back()))
        except StorageError as error:
            taken_back = f"what it was granted: {error}"
        if taken_back:
            worker.stop(0, why=f"was stopped: it may no longer use {taken_back}")

    def zygote_started(self, stderr: int, pid: int) -> None:
        """Tells what a zygote prints."""
        assert self._output is not None
        self._output.add(stderr, "kernel", pid, ErrorLine)


def _trace(error: ProximaError) -> str:
    """Where the plugin failed: in the worker, if it told."""
    cause = error.__cause__
    return str(cause) if isinstance(cause, RemoteTraceback) else str(error)


def _hold_to_quota(worker: Worker) -> None:
    """Ends a worker that has used up its disk space; at tier A its directory is a file system with a size."""
    policy = worker.policy
    if policy.tier == "A":
        return
    most = policy.limits.scratch_bytes
    if policy.keeps_files:
        delete_removed(policy.scratch)
    if used_bytes(policy.scratch) + used_bytes(trash_of(policy.scratch)) > most and worker.alive:
        message = f"plugin {policy.plugin} was ended: its scratch directory holds more than {most:,} bytes"
        hint = how_to_raise(policy.plugin, "scratch_bytes")
        worker.finish(LimitError(message, limit="scratch_bytes", hint=hint, plugin=policy.plugin))


def _check_offers(record: PluginRecord, worker: Worker) -> None:
    """Holds what the worker contributes against the manifest."""
    assert record.manifest is not None
    declared = {(c.kind, c.name, c.target) for c in record.manifest.contributions if c.kind in INTERFACES}
    offered = [(offer.kind, offer.name, offer.target) for offer in worker.offers]
    if set(offered) != declared or len(offered) != len(declared):
        names = [
            ", ".join(f"{target} named {name!r}" for _, name, target in sorted(which)) or "nothing"
            for which in (offered, declared)
        ]
        raise SandboxError(
            f"plugin {record.id} contributes {names[0]}; its manifest declares {names[1]}", plugin=record.id
        )
