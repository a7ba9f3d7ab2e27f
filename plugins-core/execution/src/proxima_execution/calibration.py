"""`Calibration`: seconds per unit of work for each backend, as measured on this machine or as its manifest says."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from proxima.paths import Paths
from proxima.storage import write_atomic
from proxima_execution.host import fingerprint

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class BackendRates:
    """One backend as it was measured.

    Attributes:
        versions: Of its engine; with other versions the rates are not used.
        rates: Seconds per unit of work.
        import_seconds: What importing the engine costs a fresh process.
        typical, worst: By what factor the fit misses the measured times: geometric mean and maximum.
        circuits: How many timings were fitted.
        translation_seconds: What translating one operation costs, part of what the rates give; ``None``: not measured.
    """

    versions: Mapping[str, str]
    rates: Mapping[str, float]
    import_seconds: float
    typical: float
    worst: float
    circuits: int
    created: float = field(default_factory=time.time)
    translation_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """What one backend's estimates are multiplied by.

    Attributes:
        per_unit: Seconds per unit of work.
        import_seconds: What importing the engine costs a fresh process.
        translation_seconds: What translating one operation costs, part of what ``per_unit`` gives, where it is known.
        typical: By what factor the calibration missed the times it was fitted to; ``None`` for the manifest's rates.
    """

    per_unit: Mapping[str, float]
    import_seconds: float
    translation_seconds: float | None = None
    typical: float | None = None


class Calibration:
    """The stored calibration, read on first use and again when another process has replaced it.

    Args:
        path: Of the JSON file; it need not exist.
        warn: Told once why a stored calibration is not used.
    """

    def __init__(self, path: str, warn: Callable[[str], object]) -> None:
        self.path = path
        self._warn = warn
        self._warned: set[str] = set()
        self._stamp: tuple[int, int] | None = None
        self._backends: Mapping[str, BackendRates] = {}
        self._rates: dict[str, tuple[BackendRates | None, Mapping[str, str], Mapping[str, Any], Rates]] = {}

    def rates_of(
        self, backend: str, versions: Mapping[str, str], capabilities: Mapping[str, Any], *, anew: bool = True
    ) -> Rates:
        """The backend's rates: measured where that fits, else the manifest's; the same object while nothing changes.

        Args:
            backend: Its name.
            versions: Of its engine, from its probe.
            capabilities: From its manifest.
            anew: Whether to look if another process has replaced the stored calibration.
        """
        measured = (self.backends() if anew else self._backends).get(backend)
        known = self._rates.get(backend)
        if known is None or known[0] is not measured or known[1] != versions or known[2] is not capabilities:
            rates = self._rates_of(backend, measured, versions, capabilities)
            known = self._rates[backend] = (measured, versions, capabilities, rates)
        return known[3]

    def _rates_of(
        self,
        backend: str,
        measured: BackendRates | None,
        versions: Mapping[str, str],
        capabilities: Mapping[str, Any],
    ) -> Rates:
        translation = capabilities.get("translation_seconds")
        shipped = Rates(capabilities.get("rates", {}), float(capabilities.get("import_seconds", 0.0)), translation)
        if measured is None:
            return shipped
        if dict(measured.versions) != dict(versions):
            self._tell(f"the calibration of {backend} was made with another version of its engine and is not used")
            return shipped
        if measured.translation_seconds is not None:
            translation = measured.translation_seconds
        return Rates({**shipped.per_unit, **measured.rates}, measured.import_seconds, translation, measured.typical)

    def backends(self) -> Mapping[str, BackendRates]:
        """What is stored for this machine, by backend."""
        try:
            status = os.stat(self.path)
        except OSError:
            self._stamp, self._backends = None, {}
            return self._backends
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._stamp, self._backends = stamp, self._read()
        return self._backends

    def _read(self) -> dict[str, BackendRates]:
        try:
            with open(self.path, encoding="utf-8") as file:
                data = json.load(file)
            if data["format"] != _FORMAT or data["host"] != fingerprint():
                self._tell("the stored calibration was made on another machine or by another version and is not used")
                return {}
            return {str(name): _checked(BackendRates(**entry)) for name, entry in data["backends"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._tell(f"the stored calibration {self.path} cannot be read and is not used: {error}")
            return {}

    def save(self, measured: Mapping[str, BackendRates]) -> None:
        """Stores what was measured, at once or not at all; other backends keep what they have.

        Raises:
            StorageError: The disk is full or read-only; the old file stands.
        """
        merged = {**self.backends(), **measured}
        data = {
            "format": _FORMAT,
            "host": fingerprint(),
            "backends": {name: asdict(rates) for name, rates in sorted(merged.items())},
        }
        Paths.ensure(os.path.dirname(self.path))
        write_atomic(self.path, json.dumps(data, indent=1) + "\n")

    def _tell(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._warn(f"{message}; `proxima calibrate` makes a new one")


def _checked(rates: BackendRates) -> BackendRates:
    numbers = (*rates.rates.values(), rates.import_seconds, rates.translation_seconds or 0.0)
    if not all(0 <= n < float("inf") for n in numbers):
        raise ValueError("a rate is not a number from 0")
    return rates
