"""``proxima plugin``: list, info, enable, disable, and what has a module of its own."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from proxima.cli import permissions, sdk
from proxima.cli.output import clean, print_json, table
from proxima.cli.plugin_list import row_of, show
from proxima.kernel import Kernel
from proxima.plugins.registry import PluginRecord

EPILOG = """\
examples:
  proxima plugin list --json
  proxima plugin info backend-qsim
  proxima plugin disable backend-cirq
"""

_SHOWN_HISTORY = 10
_MODULES = ("install", "uninstall", "update", "rollback", "lock", "sync", "permissions", "config", "bisect")


def module_of(name: str) -> Any:
    """The module of a subcommand that has one, with ``SUMMARY``, ``configure`` and ``run``; else ``None``."""
    return import_module(f"{__package__}.{name}") if name in _MODULES else None


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the subcommands."""
    parser.epilog = EPILOG
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in (
        ("list", "list the installed plugins"),
        ("info", "all that is known of one plugin, its traceback included where it failed"),
        ("enable", "turn a plugin on, and lift its quarantine"),
        ("disable", "turn a plugin off"),
    ):
        one = commands.add_parser(name, help=summary, description=summary)
        if name != "list":
            one.add_argument("name", help="the plugin's name, as `proxima plugin list` shows it")
        if name == "list":
            one.add_argument(
                "--long", action="store_true", help="with description and, where it cannot run, the reason"
            )
        one.add_argument("--json", action="store_true", help="print JSON")
    for name in _MODULES:
        module = module_of(name)
        module.configure(commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY))
    for name in sdk.NAMES:  # run before this parser is asked
        commands.add_parser(name, help=f"for authors: see `proxima plugin {name} --help`")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Runs the subcommand."""
    match args.action:
        case "list":
            return _list(args, kernel)
        case "info":
            return _info(args, kernel)
        case action if module := module_of(action):
            code: int = module.run(args, kernel)
            return code
    record = kernel.registry.set_enabled(args.name, args.action == "enable")
    if args.json:
        print_json(_as_dict(kernel, record, kernel.store.history(record.id)))
    else:
        print(f"{record.id}: {record.state}" + (f" ({clean(record.reason)})" if record.reason else ""))
    return 0


def _list(args: argparse.Namespace, kernel: Kernel) -> int:
    records = kernel.registry.records.values()
    if args.json:
        done: dict[object, list[dict[str, Any]]] = {}
        for each in kernel.store.history():
            done.setdefault(each.get("plugin"), []).append(each)
        print_json([_as_dict(kernel, record, done.get(record.id, [])) for record in records])
    elif args.long:
        rows = []
        for record in records:
            place, _, why = kernel.isolation.place(record).partition(": ")
            about = record.reason or why or (record.manifest.description if record.manifest else "")
            rows.append((*row_of(record), place, about))
        print(table(("NAME", "VERSION", "STATE", "CONTRIBUTES", "RUNS", "ABOUT"), rows))
    else:
        contested = [f"{r.id}: {r.found.contested}" for r in records if r.found and r.found.contested]
        show([row_of(record) for record in records], contested)
    return 0


def _info(args: argparse.Namespace, kernel: Kernel) -> int:
    record = kernel.registry.get(args.name)
    data = _as_dict(kernel, record, kernel.store.history(record.id))
    if args.json:
        print_json(data)
        return 0
    contributions, allowed, traceback, versions, history = (
        data.pop(key) for key in ("contributions", "permissions", "traceback", "versions", "history")
    )
    for key, value in data.items():
        if value:
            print(f"{key:<14}{clean(str(value))}")
    for each in contributions:
        print(f"{'contributes':<14}" + clean(f"{each['kind']}: {each['name']}  {each['description']}"))
    for each in allowed:
        print(f"{'permission':<14}" + clean(f"{each['permission']}: {each['state']}  {each['meaning']}"))
    for each in versions:
        print(f"{'kept':<14}" + clean(f"{each['version']}{', runs now' if each['current'] else ''}  {each['source']}"))
    for each in history[-_SHOWN_HISTORY:]:
        print(f"{'history':<14}" + clean(f"{each['time']}  {each['action']} {each['version']} ({each['outcome']})"))
    if traceback:
        print("\n" + "\n".join(clean(line) for line in traceback.splitlines()))
    return 0


def _as_dict(kernel: Kernel, record: PluginRecord, done: list[dict[str, Any]]) -> dict[str, Any]:
    """All that is known of a plugin; ``done`` is its part of the store's history."""
    manifest, found = record.manifest, record.found
    raw = manifest.raw if manifest else {}
    return {
        "name": record.id,
        "version": record.version,
        "state": str(record.state),
        "reason": record.reason,
        "display_name": manifest.display_name if manifest else "",
        "description": manifest.description if manifest else "",
        "type": manifest.type if manifest else "",
        "author": raw.get("author", ""),
        "license": raw.get("license", ""),
        "website": raw.get("website", ""),
        "distribution": found.distribution if found else "",
        "origin": found.origin if found else "",
        "location": found.base if found else "",
        "first_party": record.first_party,
        "isolation": kernel.isolation.place(record),
        "tier": kernel.isolation.tier(record),
        "fits": manifest.fits if manifest else "",
        "contributions": [
            {"kind": c.kind, "name": c.name, "class": c.target, "description": c.description}
            for c in (manifest.contributions if manifest else ())
        ],
        "permissions": permissions.rows_of(kernel, record),
        "traceback": record.traceback,
        **_past(kernel, record, done),
    }


def _past(kernel: Kernel, record: PluginRecord, done: list[dict[str, Any]]) -> dict[str, Any]:
    """The kept versions of a plugin of the store, and what was done to it."""
    if record.found is None or record.found.origin != "store":
        return {"versions": [], "history": []}
    versions = [
        {"version": v.version, "current": v.current, "installed": _when(v.time), "source": str(v.source)}
        for v in kernel.store.versions(record.id)
    ]
    keys = ("action", "version", "version_before", "outcome", "why")
    history = [{"time": _when(each["time"]), **{key: each.get(key, "") for key in keys}} for each in done]
    return {"versions": versions, "history": history}


def _when(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")
