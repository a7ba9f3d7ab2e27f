"""The worker's side of every call: loads the plugin, keeps its objects and plans, and answers for them."""

from __future__ import annotations

import errno
import functools
import importlib
import itertools
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from proxima.contracts.theme import Theme
from proxima.errors import NotFoundError, ResourceError, SettingsError
from proxima.hookspecs import PROJECT
from proxima.sandbox import forks, worker_removal, worker_services
from proxima.sandbox.inspection import inspect_contributions
from proxima.sandbox.interfaces import HOOKS, INTERFACES
from proxima.sandbox.own import Own
from proxima.sandbox.rpc import Call, Peer
from proxima.sandbox.worker_services import WorkerServices

if TYPE_CHECKING:
    from proxima.contracts.backend import Backend, Plan, RunRequest
    from proxima.contracts.result import RunResult

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The plugin's own settings, as they were when it was loaded."""

    plugin: str
    values: Mapping[str, object]

    def get(self, key: str) -> object:
        """The value of ``plugins.ID.NAME``.

        Raises:
            SettingsError: It has no value, or belongs to somebody else.
        """
        name = key.removeprefix(f"plugins.{self.plugin}.")
        if name == key or name not in self.values:
            raise SettingsError(f"unknown setting {key}", hint=f"A sandboxed plugin sees plugins.{self.plugin} alone.")
        return self.values[name]

    def section(self, section: str) -> dict[str, object]:
        """All values of ``plugins.ID``.

        Raises:
            SettingsError: Another section.
        """
        if section != f"plugins.{self.plugin}":
            raise SettingsError(
                f"unknown section {section}", hint=f"A sandboxed plugin sees plugins.{self.plugin} alone."
            )
        return dict(self.values)


@dataclass(frozen=True, slots=True)
class WorkerKernel:
    """What a sandboxed plugin's hooks get as ``kernel``: there is no more of it in this process."""

    settings: WorkerSettings
    services: WorkerServices


class Served:
    """What this worker answers.

    Args:
        own: What it knows of its policy.
        peer: The conversation with the kernel.
    """

    def __init__(self, own: Own, peer: Peer) -> None:
        self._own = own
        self._peer = peer
        self._plugin: Any = None
        self._objects: dict[tuple[str, str], Any] = {}
        self._plans: dict[int, tuple[Backend, Plan]] = {}
        self._numbers = itertools.count(1)
        self._loading = threading.Lock()

    def register(self, *, rehearsal: bool = False) -> None:
        """Serves loading alone; what was loaded decides what else.

        Args:
            rehearsal: Whether this process stays as it is otherwise, and can load others later.
        """
        self._peer.serve("load", self._named(self._take if rehearsal else self._load), alone=True)

    def _load(self, call: Call, *, target: str, kinds: tuple[str, ...], settings: dict[str, Any]) -> dict[str, Any]:
        """Imports the plugin and asks it for its objects.

        Args:
            call: This request.
            target: The entry point, ``module:object``.
            kinds: The contribution kinds that the manifest has.
            settings: The plugin's own.
        """
        with self._loading:
            if self._plugin is not None:
                raise NotFoundError("a worker loads one plugin, once")
            if self._own.forks:
                forks.register()
            reseed()
            worker_services.install(self._peer, self._own.files)
            if self._own.keeps_files:
                worker_removal.install(self._own.scratch)
            sys.path.extend(path for path in self._own.import_paths if path not in sys.path)
            return self._take(call, target=target, kinds=kinds, settings=settings)

    def _take(self, call: Call, *, target: str, kinds: tuple[str, ...], settings: dict[str, Any]) -> dict[str, Any]:
        module, _, attribute = target.partition(":")
        plugin = importlib.import_module(module)
        for name in filter(None, attribute.split(".")):
            plugin = getattr(plugin, name)
        kernel = WorkerKernel(WorkerSettings(self._own.plugin, settings), WorkerServices(self._peer))
        hooks, manager = self._hooks(plugin)
        offers = [offer for kind in kinds for offer in self._collect(manager, kind, kernel)]
        self._plugin = plugin
        for method, function in (
            ("call", self._call),
            ("plan", self._plan),
            ("bind", self._bind),
            ("run", self._run),
            ("tell", self._tell),
            ("inspect", self._inspect),
        ):
            self._peer.serve(method, self._named(function))
        return {"offers": tuple(offers), "hooks": hooks}

    def _hooks(self, plugin: Any) -> tuple[tuple[str, ...], Any]:
        """Registers the plugin as the kernel would, which finds marked methods that are no hooks."""
        manager = bare_manager()
        manager.register(plugin, name=self._own.plugin)
        manager.check_pending()
        self._manager = manager
        return tuple(name for name in HOOKS if getattr(manager.hook, name).get_hookimpls()), manager

    def _collect(self, manager: Any, kind: str, kernel: WorkerKernel) -> Iterable[dict[str, Any]]:
        for item in (item for answer in getattr(manager.hook, f"proxima_{kind}")(kernel=kernel) for item in answer):
            if (kind, item.name) in self._objects:
                raise ValueError(f"proxima_{kind} gave two objects named {item.name!r}")
            self._objects[kind, item.name] = item
            cls = type(item)
            attributes = {name: getattr(item, name) for name in INTERFACES[kind].attributes}
            yield {
                "kind": kind,
                "name": item.name,
                "target": f"{cls.__module__}.{cls.__qualname__}",
                "attributes": attributes,
                "theme": Theme(item.name, item.dark, item.colours) if isinstance(item, Theme) else None,
            }

    def _call(self, call: Call, *, kind: str, name: str, method: str, arguments: dict[str, Any]) -> Any:
        if method not in INTERFACES[kind].methods:
            raise NotFoundError(f"{kind} have no method {method!r}")
        if (kind, method) == ("algorithms", "execute"):
            arguments = {**arguments, "cancel": call.cancel, "progress": call.progress}
        if (kind, method) == ("formats", "load") and arguments["directory"] is not None:
            from pathlib import Path

            arguments = {**arguments, "directory": Path(arguments["directory"])}
        return getattr(self._object(kind, name), method)(**arguments)

    def _plan(self, call: Call, *, name: str, request: RunRequest, drop: tuple[int, ...]) -> dict[str, Any]:
        self._forget(drop)
        backend: Backend = self._object("backends", name)
        return self._kept(backend, backend.plan(request))

    def _bind(self, call: Call, *, plan: int, request: RunRequest, drop: tuple[int, ...]) -> dict[str, Any]:
        backend, made = self._plans[plan]
        self._forget(drop)
        return self._kept(backend, backend.bind(made, request))

    def _run(
        self,
        call: Call,
        *,
        plans: tuple[int, ...],
        threads: int,
        seconds: float | None,
        scratch: bool,
        drop: tuple[int, ...],
    ) -> tuple[RunResult, ...]:
        from pathlib import Path

        from proxima.contracts.backend import RunContext

        made = [self._plans[number] for number in plans]
        self._forget(drop)
        directory = tempfile.mkdtemp(prefix="run-", dir=self._own.scratch) if scratch else None
        context = RunContext(
            threads=threads,
            deadline=None if seconds is None else time.monotonic() + seconds,
            cancel=call.cancel,
            progress=call.progress,
            scratch=None if directory is None else Path(directory),
        )
        try:
            if len(made) == 1:
                backend, plan = made[0]
                return (backend.run(plan, context),)
            return tuple(made[0][0].run_batch([plan for _, plan in made], context))
        finally:
            if directory is not None:
                shutil.rmtree(directory, ignore_errors=True)

    def _tell(self, call: Call, *, hook: str, arguments: dict[str, Any]) -> None:
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            implementation.function(*(arguments[name] for name in implementation.argnames))

    def _inspect(self, call: Call, *, declared: tuple[Mapping[str, str], ...]) -> tuple[tuple[str, str, str], ...]:
        """What of the plugin does not meet its contracts; commands and services import more of the kernel."""
        if any(each["kind"] not in INTERFACES for each in declared):
            for finder in sys.meta_path:
                if lend := getattr(finder, "lend_kernel", None):
                    lend()
        return tuple(inspect_contributions(declared, self._objects))

    def _kept(self, backend: Backend, plan: Plan) -> dict[str, Any]:
        number = next(self._numbers)
        self._plans[number] = backend, plan
        return {"plan": number, "method": plan.method, "timings": dict(plan.timings), "batch": plan.batch}

    def _forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._plans.pop(number, None)

    def _object(self, kind: str, name: str) -> Any:
        return self._objects[kind, name]

    def _named(self, function: Callable[..., T]) -> Callable[[Any, Call], T]:
        """Passes a request's arguments by name, and says which limit stands behind an error of the system."""

        def answer(arguments: dict[str, Any], call: Call) -> T:
            limits = self._own.limits
            try:
                return function(call, **arguments)
            except ResourceError:
                raise
            except MemoryError as error:
                raise self._limit(
                    "memory_bytes", f"needs more than {limits['memory_bytes']:,} bytes of memory"
                ) from error
            except OSError as error:
                if error.errno == errno.EFBIG:
                    message = f"wrote a file larger than {limits['file_bytes']:,} bytes"
                    raise self._limit("file_bytes", message) from error
                if error.errno == errno.ENOSPC:
                    message = f"filled its scratch directory of {limits['scratch_bytes']:,} bytes"
                    raise self._limit("scratch_bytes", message) from error
                if error.errno == errno.EMFILE:
                    raise self._limit("open_files", f"opened more than {limits['open_files']} files") from error
                raise

        return answer

    def _limit(self, limit: str, what: str) -> ResourceError:
        return ResourceError(f"plugin {self._own.plugin} {what} (limit {limit})", plugin=self._own.plugin)


@functools.cache
def bare_manager() -> Any:
    """The manager of the one plugin that is loaded in this process; the zygote makes it for all."""
    import pluggy

    from proxima import hookspecs

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def reseed() -> None:
    """Has this process draw other random numbers than the others that were forked from the same zygote."""
    random.seed()
    if (numbers := sys.modules.get("numpy.random")) is not None:  # imported later, it seeds itself
        numbers.seed(int.from_bytes(os.urandom(4)))
