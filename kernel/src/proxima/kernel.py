"""`Kernel`: what everything hangs on. It knows plugins, permissions, events, services and settings, and no physics."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from proxima.errors import PluginError, SettingsError, UsageError
from proxima.once import once
from proxima.paths import Paths
from proxima.plugins.registry import PluginRecord, PluginRegistry
from proxima.plugins.state import PluginState
from proxima.services import Services

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken
    from proxima.contracts.circuit import Circuit
    from proxima.contracts.execution import Comparison, Progress
    from proxima.contracts.result import RunResult
    from proxima.events import Event, EventBus
    from proxima.permissions import Consent, Permissions
    from proxima.plugins.activation import Activation
    from proxima.plugins.manifest import Contribution
    from proxima.sandbox.isolation import Isolation
    from proxima.sandbox.launching import Launched
    from proxima.settings import Settings
    from proxima.store.install import Store
    from proxima.store.probe import Prober

T = TypeVar("T")

# How long importing a plugin may take. Engines are imported later, when they are first used.
DEFAULTS = {
    "plugins": {"import_seconds": 60.0},
    "isolation": {"allow_tier_c": False},  # and `default` or a plugin's id: "worker" or "in-process"
    "limits": {},  # of a plugin's id, or of `maximum`: fields of `Limits`
    "store": {},  # the fields of `proxima.store.options.Options`
}


class Kernel:
    """One session: opened, used, closed. Nothing is read or loaded before it is needed.

    Args:
        paths: Where Proxima keeps its files; the user's own places by default.
        only: Ids of the plugins to start with; by default those of ``PROXIMA_PLUGINS``, or all where it is not set.
        safe_mode: Start without third-party plugins.
        flags: Settings that go before all others, by dotted name.
        consent: Who is asked for a permission that is not decided; by default nobody is, and it is denied.
        zygote: What the worker is forked from in which the first plugin is tried, where it was started beforehand.
    """

    def __init__(
        self,
        *,
        paths: Paths | None = None,
        only: Sequence[str] | None = None,
        safe_mode: bool = False,
        flags: Mapping[str, object] | None = None,
        consent: Consent | None = None,
        zygote: Launched | None = None,
    ) -> None:
        self.paths = paths or Paths.default()
        if only is None and (named := os.environ.get("PROXIMA_PLUGINS")) is not None:
            only = [name.strip() for name in named.split(",") if name.strip()]
        state = PluginState(self.paths)
        store = os.path.join(self.paths.data, "store")
        self.registry = PluginRegistry(state, only, safe_mode, store=store, on_change=self._plugin_changed)
        self._flags = flags
        self._consent = consent
        self._zygote = zygote

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Tells the activated plugins, and closes what was opened."""
        if "_activation" in self.__dict__:
            self._activation.tell("proxima_kernel_closing")
        if "isolation" in self.__dict__:
            self.isolation.close()
        if "permissions" in self.__dict__:
            self.permissions.close()

    @once
    def events(self) -> EventBus:
        """The bus that everything is told on."""
        from proxima.events import EventBus

        return EventBus()

    @once
    def settings(self) -> Settings:
        """The settings of all layers; a plugin's section ``plugins.ID`` is checked against its ``config_schema``."""
        from proxima.settings import Settings

        settings = Settings.load(self.paths, flags=self._flags, defaults=DEFAULTS)
        for record in self.registry.records.values():
            if record.manifest and record.manifest.config_schema:
                settings.declare(f"plugins.{record.id}", record.manifest.config_schema)
        return settings

    @once
    def permissions(self) -> Permissions:
        """What plugins may do; first-party plugins have what they declare."""
        from proxima.permissions import Permissions, Source

        permissions = Permissions.open(
            self.paths,
            self._consent,
            workspace=os.getcwd(),
            publish=self.events.publish,
            on_recovered=lambda backup: self.warn(f"the permissions database was damaged; it was kept as {backup}"),
        )
        for record in self.registry.records.values():
            # Of a plugin that is turned off too: what it may do can be settled before it runs.
            if record.manifest and record.found and not record.found.contested:
                asks, source = record.manifest.permissions, Source(record.found.distribution, record.found.origin)
                permissions.declare(record.id, record.version, asks, source=source, first_party=record.first_party)
        return permissions

    @once
    def services(self) -> Services:
        """Services that plugins offer, by contract."""
        return Services(resolve=self._find_service)

    @once
    def isolation(self) -> Isolation:
        """Which plugins run in a worker, and their workers."""
        from proxima.sandbox.isolation import Isolation

        return Isolation(self, self.own_settings, plugin_settings=self._plugin_settings, seconds=self._import_seconds)

    @once
    def store(self) -> Store:
        """The plugins that were installed with Proxima itself, and what installs, updates and removes them."""
        from proxima.plugins.scan import scan
        from proxima.store.install import Store
        from proxima.store.options import Options

        def prober(directory: str) -> Prober:
            from proxima.store.probe import Prober

            zygote, self._zygote = self._zygote, None
            unlocked = self.own_settings.get("isolation.allow_tier_c") is True
            return Prober(allow_tier_c=unlocked, zygote=zygote, directory=directory)

        return Store(
            paths=self.paths,
            options=Options.from_settings(self.own_settings.get("store")),
            permissions=lambda: self.permissions,
            publish=self._store_changed,
            prober=prober,
            environment=lambda: [p for p in scan(self.registry.path, self.registry.store) if p.origin != "store"],
        )

    @once
    def own_settings(self) -> Settings:
        """Without the workspace's layer: what somebody else left in a directory must not loosen a lock."""
        from proxima.settings import Settings

        return Settings.load(self.paths, workspace=self.paths.config, flags=self._flags, defaults=DEFAULTS)

    @once
    def _activation(self) -> Activation:
        from proxima.plugins.activation import Activation

        return Activation(self, self.registry, self._import_seconds)

    @property
    def _import_seconds(self) -> float:
        seconds = self.settings.get("plugins.import_seconds")
        if not isinstance(seconds, int | float) or not 0 < seconds <= 86400:
            raise SettingsError(f"plugins.import_seconds: expected a number of seconds above 0, got {seconds!r}")
        return seconds

    def _plugin_settings(self, record: PluginRecord) -> dict[str, object]:
        schema = record.manifest.config_schema if record.manifest else {}
        if not schema:
            return {}
        self.settings.declare(f"plugins.{record.id}", schema)  # one that is tried before it is installed is unknown
        return self.settings.section(f"plugins.{record.id}")

    def contributions(self, kind: str) -> list[Contribution]:
        """What the installed plugins contribute of a kind, from their manifests; nothing is imported."""
        return list(self.registry.contributions.get(kind, ()))

    def get(self, kind: str, name: str) -> Any:
        """The object behind a contribution, e.g. ``get("backends", "qsim")``; activates its plugin on first use.

        Raises:
            NotFoundError: No installed plugin has it; the hint gives the nearest names.
            PluginError: Its plugin is disabled, incompatible or broken.
        """
        return self._activation.object_for(self.registry.find(kind, name))

    def tell(self, hook: str, **arguments: Any) -> None:
        """Calls a hook on every activated plugin; one that raises is logged and does not stop the others."""
        if "_activation" in self.__dict__:
            self._activation.tell(hook, **arguments)

    def warn(self, message: str) -> None:
        """Tells the user something that is not an error, through logging."""
        logging.getLogger("proxima").warning(message)

    def run(
        self,
        circuit: Circuit | str | os.PathLike[str],
        *,
        want: str | Sequence[str] = "counts",
        noise: object = None,
        executor: str = "local",
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> RunResult:
        """Runs a circuit on the backend that suits it.

        Args:
            circuit: A circuit, or the path of a circuit file.
            want: One or several of ``counts``, ``samples``, ``probabilities``, ``statevector``, ``density_matrix``,
                ``expectation:PAULI_SUM``, e.g. ``expectation:0.5*ZZI - XIX``, and ``gradient:PAULI_SUM``: its
                derivatives by the circuit's open parameters.
            noise: A `NoiseModel`, one of Qiskit Aer, the path of a noise file, or e.g. ``depolarizing:0.01``: the
                channel on every qubit that a gate touches, after each gate.
            executor: Where it is run: ``local``, ``dask``, ``dask://HOST:PORT``; worth it with several ``parts``.
            cancel: Stops the run when somebody sets it.
            progress: Called with how far the run is.
            options: Fields of `RunOptions`: ``backend``, ``shots``, ``seed``, ``precision``, ``deadline`` in seconds,
                ``threads``, ``store``, ``parts``, ``optimize``, ``parameters``, ``options``.

        Raises:
            UsageError: The file or an option is wrong.
            UnavailableError: No installed backend can run it, or no plugin for running circuits is installed.
        """
        from proxima.contracts.execution import Execution, RunOptions

        execution = self.services.require(Execution)
        return execution.run(
            self._circuit(circuit),
            RunOptions.parse(want=want, noise=noise, **options),
            cancel=cancel,
            progress=progress,
            executor=executor,
        )

    def sweep(
        self,
        circuit: Circuit | str | os.PathLike[str] | Sequence[Circuit | str | os.PathLike[str]],
        bindings: Sequence[Mapping[str, float]] = ({},),
        *,
        want: str | Sequence[str] = "counts",
        noise: object = None,
        executor: str = "local",
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[RunResult]:
        """Runs a circuit, or each of several, at each set of parameter values; nothing is stored.

        Args:
            circuit: As for `run`, or a sequence of such.
            bindings: Values by parameter name; result ``i * len(bindings) + j`` is that of circuit i at values j.
            executor: Where the points are run: ``local``, ``dask``, ``dask://HOST:PORT``.
            want: As for `run`.
            noise: As for `run`.
            cancel: Stops it when somebody sets it.
            progress: Called with how many points are done.
            options: As for `run`.

        Raises:
            UsageError: A file, a point or an option is wrong.
            UnavailableError: No installed backend can run it, or there is no such executor.
        """
        from proxima.contracts.circuit import Circuit
        from proxima.contracts.execution import Execution, RunOptions

        several = [circuit] if isinstance(circuit, (Circuit, str, os.PathLike)) else circuit
        circuits = [self._circuit(one) for one in several]
        parsed = RunOptions.parse(want=want, noise=noise, **options)
        execution = self.services.require(Execution)
        found = dict(execution.sweep(circuits, bindings, parsed, executor=executor, cancel=cancel, progress=progress))
        return [found[number] for number in range(len(found))]

    def compare(
        self,
        circuit: Circuit | str | os.PathLike[str],
        backends: Sequence[str] = (),
        *,
        want: str | Sequence[str] = "counts",
        noise: object = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Comparison:
        """Runs a circuit on several backends, by default on each that can, and compares what they say."""
        from proxima.contracts.execution import Execution, RunOptions

        execution = self.services.require(Execution)
        parsed = RunOptions.parse(want=want, noise=noise, **options)
        return execution.compare(self._circuit(circuit), backends, parsed, cancel=cancel, progress=progress)

    def load(self, path: str | os.PathLike[str]) -> Circuit:
        """Reads a circuit file.

        Raises:
            UsageError: There is no such file, or it is not a circuit.
        """
        from proxima.contracts.execution import Execution

        return self.services.require(Execution).load(os.fspath(path))

    def _circuit(self, circuit: Circuit | str | os.PathLike[str]) -> Circuit:
        from proxima.contracts.circuit import Circuit

        if isinstance(circuit, Circuit):
            return circuit
        if isinstance(circuit, (str, os.PathLike)):
            return self.load(circuit)
        raise UsageError(f"expected a Circuit or the path of a circuit file, got {type(circuit).__name__}")

    def _find_service(self, contract: type) -> str | None:
        """Activates the plugin whose manifest offers the contract; says why nobody offers it."""
        path = f"{contract.__module__}.{contract.__qualname__}"
        for contribution in self.contributions("services"):
            if contribution.data.get("contract") == path:
                try:
                    service = self._activation.object_for(contribution)
                except PluginError:
                    continue  # another may offer it too; if none does, its record tells why below
                self.services.offer(contract, contribution.plugin, partial(getattr, service, "provider"))
                return None
        for record in self.registry.records.values():
            for contribution in record.manifest.contributions if record.manifest else ():
                if contribution.data.get("contract") == path and (error := record.error()):
                    return str(error)
        return None

    def _store_changed(self, event: Event) -> None:
        from proxima.events import PluginStateChanged

        if isinstance(event, PluginStateChanged):
            self.registry.look_again(event.plugin)
            self.__dict__.pop("settings", None)  # they know the schemas of the plugins that were there
        self.events.publish(event)

    def _plugin_changed(self, record: PluginRecord) -> None:
        from proxima.events import PluginStateChanged

        self.events.publish(PluginStateChanged(plugin=record.id, state=str(record.state), detail=record.reason))


def open(**options: Any) -> Kernel:
    """A new session; see `Kernel` for the options.

    >>> with proxima.open() as px:
    ...     print(px.run("bell.qasm").counts)
    """
    return Kernel(**options)
