"""`Worker`: the kernel's side of one worker process, from its fork to the removal of its scratch directory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from proxima.contracts.theme import Theme
from proxima.errors import CancelledError, DeadlineExceededError, PluginBrokenError, ProximaError, UsageError
from proxima.permissions import Permission
from proxima.sandbox.channel import Channel
from proxima.sandbox.errors import CrashedError, LimitError, LockError, ProtocolError, SandboxError
from proxima.sandbox.exits import explain, how_to_raise
from proxima.sandbox.holding import Holding
from proxima.sandbox.interfaces import HOOKS, INTERFACES
from proxima.sandbox.linux.script import Script
from proxima.sandbox.linux.selftest import verify, verify_namespaces, verify_one_thread
from proxima.sandbox.outgoing import CANCEL_GRACE
from proxima.sandbox.policy import SandboxPolicy, Tier
from proxima.sandbox.remote_errors import again
from proxima.sandbox.rpc import Peer
from proxima.sandbox.scratch import remove_tree, trash_of
from proxima.sandbox.spawn import Forked, Process, Zygote

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken
    from proxima.contracts.execution import Progress

DEADLINE_GRACE = 1.0
"""Seconds that a plugin has to give up by itself after the deadline that it was told."""

LOCK_SECONDS = 10.0
END_SECONDS = 2.0


class Offer(NamedTuple):
    """One object of the plugin, as the worker describes it and the manifest agrees.

    Attributes:
        target: ``package.module.Class`` of the object.
        attributes: Those of its interface.
        theme: The object itself, where it is data.
    """

    kind: str
    name: str
    target: str
    attributes: Mapping[str, Any]
    theme: Any = None


@dataclass(eq=False)
class Worker:
    """A locked process that holds one plugin.

    Attributes:
        process: What the zygote forked.
        offers: What the plugin contributes.
        hooks: The further hooks that it implements.
        dropped: Numbers of plans that nobody here holds any more; sent along with the next call.
        lock_seconds: How long it took to lock and test itself.
        granted: The permissions it was born with.
        holding: Whether they still hold.
    """

    policy: SandboxPolicy
    process: Process
    peer: Peer
    zygote: Zygote
    on_end: Callable[[Worker, SandboxError | None], object]
    lock_seconds: float = 0.0
    granted: tuple[Permission, ...] = ()
    holding: Holding | None = None
    offers: tuple[Offer, ...] = ()
    hooks: tuple[str, ...] = ()
    dropped: deque[int] = field(default_factory=deque)
    last_words: str = ""
    busy: int = 0
    wanted: bool = False
    _ending: threading.RLock = field(default_factory=threading.RLock)
    _settled: threading.Event = field(default_factory=threading.Event)
    _error: SandboxError | None = None
    _ended: bool = False

    @property
    def pid(self) -> int:
        """Its process, as the kernel sees it."""
        return self.process.pid

    @property
    def tier(self) -> Tier:
        """What holds it."""
        return self.policy.tier

    @property
    def alive(self) -> bool:
        """Whether it can be called."""
        return not self._ended and self.peer.failure is None

    def load(self, target: str, kinds: tuple[str, ...], settings: Mapping[str, object], seconds: float) -> None:
        """Has it import the plugin.

        Raises:
            PluginBrokenError: Importing it or asking it for its objects raised.
            LimitError: It took longer than ``seconds``.
        """
        arguments = {"target": target, "kinds": kinds, "settings": dict(settings)}
        answer = self.call("load", arguments, returns=dict[str, Any], wall=seconds, limit="plugins.import_seconds")
        try:
            self.offers = tuple(_offer(each) for each in answer["offers"])
            self.hooks = tuple(name for name in HOOKS if name in answer["hooks"])
        except (ProtocolError, KeyError, TypeError) as error:
            raise self.finish(self._misbehaved(f"what it said of its contributions: {error}")) from None

    def call(
        self,
        method: str,
        arguments: Mapping[str, Any],
        *,
        returns: Any = Any,
        deadline: float | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        wall: float | None = None,
        limit: str = "wall_seconds",
    ) -> Any:
        """Calls it, and ends it if it does not answer in time.

        Args:
            method: What it serves.
            arguments: By name.
            returns: The annotation that the answer must match.
            deadline: A `time.monotonic` instant that the plugin was told; it has a second more.
            cancel: Where it is set, the plugin has two seconds to stop.
            progress: Called with how far it is.
            wall: Seconds the call may take, by default those of its limits.
            limit: What that limit is called.

        Raises:
            ProximaError: What the plugin raised.
            SandboxError: It crashed, broke the protocol or used up a limit.
            DeadlineExceededError, CancelledError: As asked; where the plugin did not heed it, it has been ended.
        """
        started = time.monotonic()
        seconds = self.policy.limits.wall_seconds if wall is None else wall
        last = started + seconds
        if deadline is not None:
            last = min(last, deadline + DEADLINE_GRACE)
        self.busy += 1
        try:
            return self.peer.call(
                method, dict(arguments), returns=returns, deadline=last, cancel=cancel, progress=progress
            )
        except UsageError as error:
            if self.peer.failure is None:
                raise
            raise self.finish() from error
        except ProximaError as error:
            now = time.monotonic()
            if self.peer.failure is not None:
                raise self.finish(self._misbehaved_by(error)) from error
            if isinstance(error, DeadlineExceededError) and now >= last:
                if deadline is not None and now >= deadline:
                    self.finish(self._deaf(f"it did not stop {DEADLINE_GRACE:g} s after its deadline"))
                    raise
                raise self.finish(self._over_time(method, seconds, limit)) from None
            if isinstance(error, CancelledError) and error.__cause__ is None and cancel and cancel.cancelled:
                self.finish(self._deaf(f"it did not stop {CANCEL_GRACE:g} s after it was cancelled"))
            raise
        finally:
            self.busy -= 1

    def finish(self, reason: SandboxError | None = None) -> SandboxError:
        """Ends the process if it still runs, and cleans up after it; whoever comes first does it.

        Args:
            reason: Why, where it is known; else it is read from how the process ended.

        Returns:
            The error for whoever waited for it.
        """
        if not self._finish(reason):
            self._settled.wait(END_SECONDS)
        assert self._error is not None
        return again(self._error)

    def stop(self, seconds: float = END_SECONDS, *, why: str = "was stopped") -> None:
        """Ends it because the kernel wants it so: asks, waits so long, kills; without seconds it is not asked."""
        with self._ending:
            if self._ended:
                return
            if seconds > 0 and "proxima_kernel_closing" in self.hooks and self.peer.failure is None:
                try:
                    arguments = {"hook": "proxima_kernel_closing", "arguments": {}}
                    self.peer.call("tell", arguments, deadline=time.monotonic() + seconds)
                except ProximaError as error:
                    self.last_words = str(error)
            self.wanted = True
            self._end(SandboxError(f"plugin {self.policy.plugin} {why}", plugin=self.policy.plugin))
        self._clean_up()

    def _finish(self, reason: SandboxError | None) -> bool:
        """Whether this was first."""
        with self._ending:
            if self._ended:
                return False
            self._end(reason)
        self._clean_up()
        return True

    def _end(self, reason: SandboxError | None) -> None:
        # Without a reason the process is on its way out by itself: how it ends is what we want to know.
        if reason is None and not self.process.wait(END_SECONDS):
            reason = self._misbehaved("it closed the channel and stayed")
        self.process.kill()
        self.process.wait(END_SECONDS)
        ended = self.zygote.reap(self.process)
        self._error = reason or explain(self.policy, ended, self.last_words)
        self._ended = True

    def _clean_up(self) -> None:
        assert self._error is not None
        self.peer.close(PluginBrokenError(str(self._error), plugin=self.policy.plugin))
        self.on_end(self, None if self.wanted else self._error)
        remove_tree(self.policy.scratch)  # last: a plugin can make that take long
        remove_tree(trash_of(self.policy.scratch))
        self._settled.set()

    def hang_up(self, error: ProximaError) -> None:
        """What the conversation's end calls: finds out why it ended, also where nobody waited for an answer."""
        self._finish(self._misbehaved_by(error))

    def _misbehaved_by(self, error: ProximaError) -> SandboxError | None:
        return ProtocolError(error.message, plugin=self.policy.plugin) if isinstance(error, ProtocolError) else None

    def _misbehaved(self, what: str) -> ProtocolError:
        return ProtocolError(f"plugin {self.policy.plugin} broke the protocol: {what}", plugin=self.policy.plugin)

    def _deaf(self, what: str) -> CrashedError:
        return CrashedError(f"plugin {self.policy.plugin} was ended: {what}", plugin=self.policy.plugin)

    def _over_time(self, method: str, seconds: float, limit: str) -> LimitError:
        plugin = self.policy.plugin
        hint = f"set {limit} in the settings, if that is too short" if "." in limit else None
        if limit == "wall_seconds" and seconds >= self.policy.limits.wall_seconds:
            hint = how_to_raise(plugin, limit)
        message = f"plugin {plugin} was ended: {method} took longer than {seconds:g} s"
        return LimitError(message, limit=limit, hint=hint, plugin=plugin)


def _offer(data: Any) -> Offer:
    offer = Offer(data["kind"], data["name"], data["target"], data["attributes"], data["theme"])
    if not (type(offer.kind) is type(offer.name) is type(offer.target) is str) or offer.kind not in INTERFACES:
        raise ProtocolError("an object of no known kind")
    if isinstance(offer.theme, Theme) is not (offer.kind == "themes"):
        raise ProtocolError(f"{offer.kind} {offer.name!r}: a theme is data, and nothing else is")
    wanted = INTERFACES[offer.kind].attributes
    if type(offer.attributes) is not dict or offer.attributes.keys() != wanted.keys():
        raise ProtocolError(f"{offer.kind} {offer.name!r} without the attributes {', '.join(wanted)}")
    for name, kind in wanted.items():
        value = offer.attributes[name]
        parts = value if kind == tuple[str, ...] and type(value) is tuple else (value,)
        if (kind is str) != (type(value) is str) or any(type(part) is not str for part in parts):
            raise ProtocolError(f"{offer.kind} {offer.name!r}: its {name} is {value!r:.60}")
    return offer


def handshake(channel: Channel, forked: Forked, nonce: str, policy: SandboxPolicy) -> float:
    """Waits until a worker is locked, looking for ourselves whether that is true; gives how long it took, in seconds.

    Raises:
        LockError: A step failed, or it is not as it says.
        SandboxError, DeadlineExceededError: It ended, or went silent.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    took = confirm(channel.receive(deadline=deadline)[0], nonce, forked.lock.before)
    verify_one_thread(forked.process.pid, policy)
    if policy.tier == "A":
        verify_namespaces(forked.process.pid, policy)
    channel.send(None, deadline=deadline)
    took += confirm(channel.receive(deadline=deadline)[0], nonce, forked.lock.after)
    verify(forked.process.pid, policy)
    return took


def confirm(said: object, nonce: str, script: Script) -> float:
    """Checks what a worker says after half of its lock; gives how long that took, in seconds.

    Raises:
        LockError: A step failed, or it says something else than it must.
    """
    if type(said) is not list or [type(each) for each in said] != [str, int, int, float] or said[0] != nonce:
        raise LockError("handshake", "the worker said nothing that makes sense", plugin=script.plugin)
    _, made, answer, seconds = said
    script.check(made, answer)
    return float(seconds)
