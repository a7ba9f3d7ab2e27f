"""`Report`: the times of a benchmark, as they are written to a file and read again."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from proxima.errors import UsageError

FORMAT = "proxima-bench-1"
Status = Literal["done", "cannot", "timeout", "failed", "interrupted"]
_STATUSES = ("done", "cannot", "timeout", "failed", "interrupted")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One case on one backend.

    Attributes:
        circuit: The circuit's content hash.
        status: ``done`` where there is at least one time; else why there is none.
        seconds: Of each run, the import of the engine and the warm-up left out.
    """

    case: str
    family: str
    num_qubits: int
    num_operations: int
    circuit: str
    backend: str
    status: Status
    reason: str = ""
    method: str = ""
    seconds: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """Of the times, in seconds; infinite where there are none."""
        return statistics.median(self.seconds) if self.seconds else math.inf

    @property
    def spread(self) -> float:
        """The median absolute deviation of the times from their median, times 1.4826: a robust standard deviation."""
        if len(self.seconds) < 2:
            return 0.0
        middle = self.median
        return 1.4826 * statistics.median(abs(t - middle) for t in self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data, the median and the spread included."""
        data = asdict(self)
        data["seconds"] = list(self.seconds)
        data["median"] = self.median if self.seconds else None
        data["spread"] = self.spread if self.seconds else None
        return data


@dataclass(frozen=True, slots=True)
class Report:
    """What a benchmark measured.

    Attributes:
        created: Seconds since the epoch.
        host: The machine, and its processor.
        options: Of the runs, e.g. shots and precision; reports with other options cannot be compared.
        interrupted: Whether it was stopped before the end; what had been measured by then is here.
        skipped: Circuits of the suite that could not be read, with the reason.
    """

    suite: str
    created: float
    host: Mapping[str, str]
    options: Mapping[str, Any]
    backends: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    interrupted: bool = False
    skipped: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "format": FORMAT,
            "suite": self.suite,
            "created": self.created,
            "host": dict(self.host),
            "options": dict(self.options),
            "backends": list(self.backends),
            "interrupted": self.interrupted,
            "skipped": dict(self.skipped),
            "measurements": [measurement.to_dict() for measurement in self.measurements],
        }


def read_report(path: str) -> Report:
    """The report in a file that `proxima bench run --output` wrote.

    Raises:
        UsageError: There is no such file, or it holds something else or something damaged.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise UsageError(f"cannot read the report {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no report: {error}", hint="give a file that --output wrote") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(f"{path} is no report of the format {FORMAT}", hint="give a file that --output wrote")
    try:
        return Report(
            str(data["suite"]),
            float(data["created"]),
            {str(k): str(v) for k, v in data["host"].items()},
            dict(data["options"]),
            tuple(map(str, data["backends"])),
            tuple(map(_measurement, data["measurements"])),
            bool(data["interrupted"]),
            {str(k): str(v) for k, v in data["skipped"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the report {path} is damaged: {type(error).__name__}: {error}") from None


def _measurement(data: Mapping[str, Any]) -> Measurement:
    seconds = tuple(map(float, data["seconds"]))
    if not all(0 < t < math.inf for t in seconds):
        raise ValueError(f"{data['case']} on {data['backend']}: a time is no positive number")
    if data["status"] not in _STATUSES:
        raise ValueError(f"{data['case']} on {data['backend']}: unknown status {data['status']!r}")
    return Measurement(
        str(data["case"]),
        str(data["family"]),
        int(data["num_qubits"]),
        int(data["num_operations"]),
        str(data["circuit"]),
        str(data["backend"]),
        data["status"],
        str(data["reason"]),
        str(data["method"]),
        seconds,
    )
