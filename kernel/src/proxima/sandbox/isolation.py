"""Which plugins run in a worker, at which tier and with which limits: what settings, manifests and the host say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from proxima.errors import SettingsError, UsageError
from proxima.once import once

# What is heavy is imported when the first plugin needs a worker: most starts need none.
if TYPE_CHECKING:
    from proxima.kernel import Kernel
    from proxima.plugins.registry import PluginRecord
    from proxima.sandbox.errors import SandboxError
    from proxima.sandbox.policy import Limits, Tier
    from proxima.sandbox.probe import HostSupport
    from proxima.sandbox.spawn import Zygote
    from proxima.sandbox.supervisor import Supervisor
    from proxima.settings import Settings

Place = Literal["worker", "in-process"]


def place_of(record: PluginRecord, settings: Settings) -> Place:
    """Where a plugin runs: as the user says, now or when it was installed, else in a worker unless we publish it.

    A manifest can ask for a worker. That it asks to run in-process counts for nothing: only the user can trust it.

    Raises:
        SettingsError: The setting is neither ``worker`` nor ``in-process``.
    """
    said = _said(settings, "isolation", record.id)
    if said is None and not record.first_party:
        said = _said(settings, "isolation", "default")
    if said is not None:
        if said != "worker" and said != "in-process":
            raise SettingsError(f"isolation.{record.id}: expected worker or in-process, got {said!r}")
        return "worker" if said == "worker" else "in-process"
    if record.found is not None and record.found.trusted:
        return "in-process"
    asked = record.manifest.raw.get("isolation") if record.manifest else None
    return "worker" if asked == "worker" or not record.first_party else "in-process"


def limits_of(record: PluginRecord, settings: Settings) -> Limits:
    """What a plugin may use up: its manifest's ``limits`` up to the host's maxima, or what the user set for it.

    The maxima are the defaults of `Limits` and the settings ``limits.maximum.NAME``; a user's word for one plugin is
    ``limits.ID.NAME``.

    Raises:
        SettingsError: A limit is unknown or not a number.
    """
    from proxima.sandbox.policy import Limits

    asked = record.manifest.raw.get("limits") if record.manifest else None
    try:
        maximum = replace(Limits(), **(_said(settings, "limits", "maximum") or {}))
        wanted = replace(maximum, **{name: value for name, value in (asked or {}).items() if value is not None})
        lower = {each.name: min(getattr(wanted, each.name), getattr(maximum, each.name)) for each in fields(Limits)}
        return replace(Limits(**lower), **(_said(settings, "limits", record.id) or {}))
    except (TypeError, UsageError) as error:
        known = ", ".join(asdict(Limits()))
        raise SettingsError(f"limits of {record.id}: {error}", hint=f"The limits are {known}.") from error


def _said(settings: Settings, section: str, name: str) -> Any:
    table = settings.get(section)
    return table.get(name) if isinstance(table, dict) else None


class Isolation:
    """The sandbox of one kernel.

    Args:
        kernel: Whose plugins it holds to their permissions.
        settings: The user's, without those of a workspace: a workspace can come from anybody, and must not loosen
            what holds a plugin.
        plugin_settings: The values of a plugin's own section.
        seconds: How long importing a plugin may take.
    """

    def __init__(
        self,
        kernel: Kernel,
        settings: Settings,
        *,
        plugin_settings: Callable[[PluginRecord], Mapping[str, object]],
        seconds: float,
    ) -> None:
        self._kernel = kernel
        self._settings = settings
        self._plugin_settings = plugin_settings
        self._seconds = seconds

    @once
    def host(self) -> HostSupport:
        """What this host can enforce; tried out on first use."""
        from proxima.sandbox.probe import probe

        return probe()

    @once
    def zygote(self) -> Zygote:
        """What the workers are forked from."""
        from proxima.sandbox.spawn import Zygote

        return Zygote()

    def start(self) -> None:
        """Starts what the first worker waits for; errors are that worker's."""
        from proxima.sandbox.errors import SandboxError

        with suppress(SandboxError):
            self.zygote.start()

    @once
    def supervisor(self) -> Supervisor:
        """The workers; none runs before a sandboxed plugin is used."""
        from proxima.sandbox.brokers import Brokers
        from proxima.sandbox.supervisor import Supervisor

        kernel, brokers = self._kernel, Brokers(self._kernel)
        return Supervisor(
            paths=kernel.paths,
            registry=kernel.registry,
            permissions=kernel.permissions,
            publish=kernel.events.publish,
            limits=lambda record: limits_of(record, self._settings),
            settings=self._plugin_settings,
            tier=self.host.tier,
            seconds=self._seconds,
            zygote=self.zygote,
            serve=brokers.serve,
            ended=brokers.ended,
        )

    def tier(self, record: PluginRecord) -> Tier | None:
        """The tier of the worker that the plugin runs in, or would; ``None`` for one that runs in-process or not."""
        worker = place_of(record, self._settings) == "worker"
        return self.host.tier if worker and self._refusal(record) is None else None

    def place(self, record: PluginRecord) -> str:
        """Where the plugin runs, in words: ``in-process``, ``worker, tier A``, or ``not at all: `` and why."""
        if place_of(record, self._settings) == "in-process":
            return "in-process"
        refusal = self._refusal(record)
        return f"not at all: {refusal}" if refusal else f"worker, tier {self.host.tier}"

    def plugin(self, record: PluginRecord) -> object:
        """The plugin object of a sandboxed plugin, whose worker is started.

        Raises:
            SandboxError: It contributes what can only run in-process, or this host enforces too little.
            PluginError: Its worker could not be started.
        """
        from proxima.sandbox.proxies import stand_in

        if refusal := self._refusal(record):
            raise refusal
        return stand_in(lambda: self.supervisor.worker(record))

    def _refusal(self, record: PluginRecord) -> SandboxError | None:
        """Why the plugin cannot run in a worker."""
        from proxima.sandbox.errors import SandboxError
        from proxima.sandbox.interfaces import INTERFACES

        outside = sorted({c.kind for c in record.manifest.contributions} - set(INTERFACES)) if record.manifest else ()
        if outside:
            return SandboxError(
                f"plugin {record.id} contributes {', '.join(outside).replace('_', ' ')}, which cannot run in a worker",
                hint="if you trust it as you trust Proxima itself, install it with "
                f'`proxima plugin install ... --trust`, or set isolation.{record.id} = "in-process"',
                plugin=record.id,
            )
        if self.host.tier == "C" and _said(self._settings, "isolation", "allow_tier_c") is not True:
            return SandboxError(
                f"plugin {record.id} is not started: this host cannot hold it to its permissions "
                f"({'; '.join(self.host.reasons)})",
                hint="`proxima doctor` says what to do; isolation.allow_tier_c = true starts it without protection",
                plugin=record.id,
            )
        return None

    def close(self) -> None:
        """Ends every worker."""
        if "supervisor" in self.__dict__:
            self.supervisor.close()
        if "zygote" in self.__dict__:
            self.zygote.close()
