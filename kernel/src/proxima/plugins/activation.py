"""Activates a plugin on first use: imports it, checks its hooks, collects the objects that its manifest promises."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from proxima.contracts.mcp_server import MCPServer
from proxima.contracts.service import Service
from proxima.contracts.theme import Theme
from proxima.errors import ProximaError
from proxima.once import once
from proxima.plugins.manifest import Contribution
from proxima.plugins.registry import PluginRecord, PluginRegistry, State
from proxima.plugins.scan import store_paths

if TYPE_CHECKING:
    import pluggy

    from proxima.kernel import Kernel


class Activation:
    """The activated plugins of one kernel.

    Args:
        seconds: How long importing or asking a plugin may take before it counts as hung.
    """

    def __init__(self, kernel: Kernel, registry: PluginRegistry, seconds: float) -> None:
        self._kernel = kernel
        self._registry = registry
        self._seconds = seconds
        self._lock = threading.RLock()
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}

    @once
    def hooks(self) -> pluggy.PluginManager:
        """The manager that pluggy has; it holds activated plugins only."""
        import pluggy

        from proxima import hookspecs

        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        return manager

    def object_for(self, contribution: Contribution) -> Any:
        """The object behind a contribution; activates its plugin if need be.

        Raises:
            PluginError: The plugin cannot be activated, or does not contribute what its manifest says.
        """
        with self._lock:
            record = self.activate(contribution.plugin)
            objects = self._objects.get((contribution.plugin, contribution.kind))
            if objects is None:
                objects = self._collect(record, contribution.kind)
                self._objects[contribution.plugin, contribution.kind] = objects
            return objects[contribution.name]

    def activate(self, plugin_id: str) -> PluginRecord:
        """Imports the plugin and registers its hooks, unless that is done already.

        Raises:
            PluginError: It is disabled, incompatible or broken; what it raised is kept as its traceback.
        """
        with self._lock:
            record = self._registry.get(plugin_id)
            if error := record.error():
                raise error
            if not self.hooks.has_plugin(plugin_id):
                sandboxed = self._sandboxed(record)
                with self._blamed(record, "importing it"):
                    plugin = sandboxed or _imported(record)
                    try:
                        self.hooks.register(plugin, name=plugin_id)
                        self.hooks.check_pending()
                    except BaseException:
                        self.hooks.unregister(name=plugin_id)
                        raise
            if record.state is not State.RUNNING:
                self._registry.mark_running(plugin_id)
            return record

    def tell(self, hook: str, **arguments: Any) -> None:
        """Calls a hook on every activated plugin, the last one first; one that raises does not stop the others."""
        for implementation in reversed(getattr(self.hooks.hook, hook).get_hookimpls()):
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except (Exception, SystemExit):
                logging.getLogger("proxima").exception("plugin %s failed in %s", implementation.plugin_name, hook)

    def _sandboxed(self, record: PluginRecord) -> object | None:
        """The stand-in of a plugin that runs in a worker; ``None`` for one that runs here."""
        isolation = self._kernel.isolation
        record.isolation = isolation.place(record)
        if record.isolation == "in-process":
            return None
        plugin = isolation.plugin(record)
        record.isolation = isolation.place(record)
        return plugin

    def _collect(self, record: PluginRecord, kind: str) -> dict[str, Any]:
        """Calls the plugin's hook for a kind and holds its answer against the manifest."""
        with self._blamed(record, f"asking it for its {kind}"):
            assert record.manifest is not None
            plugin = self.hooks.get_plugin(record.id)
            others = [p for p in self.hooks.get_plugins() if p is not plugin]
            caller = self.hooks.subset_hook_caller(f"proxima_{kind}", remove_plugins=others)
            answers = caller(kernel=self._kernel)
            offered = [item for answer in answers for item in answer]
            objects = {}
            for contribution in record.manifest.contributions:
                if contribution.kind == kind:
                    objects[contribution.name] = _matching(contribution, offered)
            if len(offered) != len(objects):
                raise TypeError(f"proxima_{kind} gave {len(offered)} objects, the manifest declares {len(objects)}")
            return objects

    @contextmanager
    def _blamed(self, record: PluginRecord, doing: str) -> Iterator[None]:
        """Whatever the plugin raises here, `SystemExit` included, breaks the plugin and nothing else.

        Errors of our own tree pass: they tell of a full disk or a wrong setting, not of a bug in the plugin.
        """
        try:
            with _time_limit(self._seconds, f"{doing} took longer than {self._seconds:g} s"):
                yield
        except (KeyboardInterrupt, ProximaError):
            raise
        except BaseException as error:
            lines = "".join(traceback.format_exception_only(error)).splitlines()
            said = next((line for line in lines if line and line[0] != " "), type(error).__name__)
            self._registry.mark_broken(record.id, f"{doing} raised {said}", traceback.format_exc())
            raise record.error() or error from error


def _imported(record: PluginRecord) -> Any:
    assert record.found is not None
    if record.found.origin == "store":
        # last: what is in the environment goes before what it brought
        sys.path += [path for path in store_paths(record.found) if path not in sys.path]
    module, _, attribute = record.found.target.partition(":")
    plugin = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        plugin = getattr(plugin, name)
    return plugin


def _matching(contribution: Contribution, offered: list[Any]) -> Any:
    """The offered object that is what the manifest says."""
    for item in offered:
        if isinstance(item, Service):
            fits = _path(item.contract) == contribution.data.get("contract")
            subject = item.provider
        else:
            fits = getattr(item, "name", contribution.name) == contribution.name
            subject = item
        # A theme or a server is data: what it says counts, and from a worker it comes without its class.
        if fits and (isinstance(subject, Theme | MCPServer) or _path(type(subject)) == contribution.target):
            return item
    wanted = f"{contribution.target} named {contribution.name!r}"
    given = ", ".join(_path(type(item)) for item in offered) or "nothing"
    raise TypeError(f"proxima_{contribution.kind} gave no {wanted}, which the manifest declares, but {given}")


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@contextmanager
def _time_limit(seconds: float, message: str) -> Iterator[None]:
    """Raises `TimeoutError` in the main thread after so many seconds, where the platform has interval timers.

    Again and again, for the first may be caught by an ``except Exception`` on the way. A plugin that hangs inside C
    code, or that is first used from another thread, is not interrupted: only a process can be ended from outside.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return

    def expired(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(message)

    started = time.monotonic()
    previous = signal.signal(signal.SIGALRM, expired)
    outer, interval = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if outer:
            signal.setitimer(signal.ITIMER_REAL, max(outer - (time.monotonic() - started), 1e-6), interval)
