"""``proxima doctor``: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from proxima import __version__
from proxima.cli.output import clean, format_bytes, print_json
from proxima.errors import ProximaError
from proxima.kernel import Kernel
from proxima.plugins.compatibility import KERNEL_API
from proxima.plugins.registry import REMOVE_ONE, State
from proxima.plugins.scan import scan

EPILOG = """\
examples:
  proxima doctor
  proxima doctor --json
"""

LOW_DISK_BYTES = 100 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    status: Literal["ok", "warning", "error"]
    detail: str
    hint: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Prints the findings; 1 where one of them is an error."""
    findings = list(diagnose(kernel))
    if args.json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print(f"{finding.status:<8} {clean(finding.check):<12} {clean(finding.detail)}")
            if finding.hint:
                print(f"{'':<21} {clean(finding.hint)}")
    return 1 if any(finding.status == "error" for finding in findings) else 0


def diagnose(kernel: Kernel) -> Iterator[Finding]:
    """Looks at everything that commonly goes wrong; imports no engine."""
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("kernel", "ok", f"Proxima {__version__}, kernel API {KERNEL_API}, {python}")
    yield from _directories(kernel)
    yield from _stored(kernel)
    yield from _plugins(kernel)
    yield from _backends(kernel)
    yield from _isolation(kernel)


def _directories(kernel: Kernel) -> Iterator[Finding]:
    for name in ("config", "data", "state", "cache"):
        path = getattr(kernel.paths, name)
        try:
            kernel.paths.ensure(path)
        except ProximaError as error:
            yield Finding(name, "error", str(error), error.hint or "")
            continue
        if not os.access(path, os.W_OK):
            yield Finding(name, "error", f"{path} is not writable", "give it to your user, or set PROXIMA_HOME")
        elif (free := shutil.disk_usage(path).free) < LOW_DISK_BYTES:
            yield Finding(name, "warning", f"{path}: only {format_bytes(free)} are free", "free some space")
        else:
            yield Finding(name, "ok", path)


def _stored(kernel: Kernel) -> Iterator[Finding]:
    for name in ("settings", "permissions"):
        try:
            getattr(kernel, name)
        except ProximaError as error:
            yield Finding(name, "error", str(error), error.hint or "")
        else:
            yield Finding(name, "ok", f"the {name} can be read")


def _plugins(kernel: Kernel) -> Iterator[Finding]:
    records = kernel.registry.records.values()
    usable = sum(record.error() is None for record in records)
    yield Finding("plugins", "ok" if usable else "warning", f"{usable} of {len(records)} can be used")
    for record in records:
        if record.state in (State.BROKEN, State.INCOMPATIBLE):
            error = record.error()
            yield Finding(record.id, "error", f"{record.state}: {record.reason}", (error.hint or "") if error else "")
    for found in scan(kernel.registry.path):
        record = kernel.registry.records[found.id]
        if found.contested and record.state is not State.BROKEN:  # a first-party plugin runs all the same
            yield Finding(found.id, "error", found.contested, REMOVE_ONE)


def _backends(kernel: Kernel) -> Iterator[Finding]:
    for contribution in kernel.contributions("backends"):
        try:
            probe = kernel.get("backends", contribution.name).probe()
        except Exception as error:  # noqa: BLE001 - a plugin's own failure is a finding too
            yield Finding(
                contribution.name, "error", f"{type(error).__name__}: {error}", getattr(error, "hint", "") or ""
            )
            continue
        if probe.state == "available":
            versions = ", ".join(f"{name} {version}" for name, version in probe.versions.items())
            yield Finding(
                contribution.name,
                "ok",
                f"backend available ({versions})" + (f"; {probe.reason}" if probe.reason else ""),
            )
        else:
            yield Finding(contribution.name, "warning", f"backend {probe.state}: {probe.reason}", probe.hint)


_TIERS = {
    "A": "tier A: plugins are held by namespaces, Landlock, seccomp and limits",
    "B": "tier B: plugins are held by Landlock, seccomp and limits; they can see whether a file exists",
    "C": "tier C: a plugin's process is apart from this one, but nothing holds it to its permissions",
}


def _isolation(kernel: Kernel) -> Iterator[Finding]:
    """What this host can hold plugins to, and which plugins are not held at all."""
    from proxima.sandbox.probe import probe

    host = probe()
    detail = "; ".join([_TIERS[host.tier], *host.reasons])
    yield Finding("isolation", "ok" if host.tier == "A" else "warning", detail, " ".join(host.hints))
    try:
        usable = [r for r in kernel.registry.records.values() if not r.first_party and r.error() is None]
        trusted = [record for record in usable if kernel.isolation.place(record) == "in-process"]
    except ProximaError as error:
        yield Finding("isolation", "error", str(error), error.hint or "")
        return
    for said, why, hint in (
        (False, "the settings say so", "remove isolation.default or isolation.ID from the settings"),
        (True, "installed with --trust", "install again without it: proxima plugin install NAME"),
    ):
        if names := [each.id for each in trusted if bool(each.found and each.found.trusted) == said]:
            detail = f"{', '.join(names)}: not isolated, because {why}; all your rights are theirs"
            yield Finding("isolation", "warning", detail, hint)
