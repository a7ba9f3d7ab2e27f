"""``proxima plugin config``: a plugin's settings, each with where it comes from; and setting one in the user's file."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from typing import Any

from proxima.cli.output import print_json, table
from proxima.errors import SettingsError, UsageError
from proxima.kernel import Kernel
from proxima.nearest import did_you_mean
from proxima.paths import Paths
from proxima.schema import mistake
from proxima.settings import from_text, read_toml
from proxima.storage import locked, write_atomic

SUMMARY = "show a plugin's settings, or set one"
EPILOG = """\
examples:
  proxima plugin config execution                            every setting, its value and where that comes from
  proxima plugin config execution max_circuit_bytes 1000000
  proxima plugin config execution max_circuit_bytes --unset
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", help="the plugin")
    parser.add_argument("key", nargs="?", help="one of its settings")
    parser.add_argument("value", nargs="?", help="TOML where it is some (4, true, [1, 2]), else text")
    parser.add_argument("--unset", action="store_true", help="take the value out of the user's file")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Shows or sets."""
    record = kernel.registry.get(args.name)
    schema: Mapping[str, Any] = record.manifest.config_schema if record.manifest else {}
    if args.key is not None:
        fragment_of(args.name, schema, args.key)
    if args.unset and (args.key is None or args.value is not None):
        raise UsageError("--unset takes a setting and no value")
    file = os.path.join(kernel.paths.config, "settings.toml")
    if args.unset:
        write_setting(file, args.name, args.key, None)
    elif args.value is not None:
        fragment = schema[args.key]
        value = args.value if fragment.get("type") == "string" else from_text(args.value)
        check_setting(args.name, schema, args.key, value)
        write_setting(file, args.name, args.key, value)
    rows = _rows(kernel, args.name, schema if args.key is None else {args.key: schema[args.key]})
    if args.json:
        print_json(rows if args.key is None else rows[0])
    elif rows:
        cells = [(r["setting"], _text(r["value"]), r["from"], _text(r["default"]), r["allowed"]) for r in rows]
        print(table(("SETTING", "VALUE", "FROM", "DEFAULT", "ALLOWED"), cells))
    else:
        print(f"Plugin {args.name} has no settings.")
    return 0


def _rows(kernel: Kernel, plugin: str, schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    kernel.__dict__.pop("settings", None)  # read again what was just written
    rows = []
    for key, fragment in schema.items():
        name = f"plugins.{plugin}.{key}"
        source = kernel.settings.source(name)
        value = kernel.settings.get(name) if source else None
        about = fragment.get("description", "")
        row = {"setting": key, "value": value, "from": source or "not set", "default": fragment.get("default")}
        rows.append(row | {"allowed": _allowed(fragment), "description": about})
    return rows


def _allowed(fragment: Mapping[str, Any]) -> str:
    """What a schema allows, in few words."""
    if "enum" in fragment:
        return ", ".join(map(_text, fragment["enum"]))
    words = [str(fragment.get("type", "anything"))]
    for key, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<")):
        if key in fragment:
            words.append(f"{sign} {fragment[key]}")
    if "pattern" in fragment:
        words.append(f"like {fragment['pattern']}")
    return " ".join(words)


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


def fragment_of(plugin: str, schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What a plugin's schema says of one setting.

    Raises:
        UsageError: It has no such setting.
    """
    if key not in schema:
        hint = did_you_mean(key, schema) or f"it has: {', '.join(schema) or 'none'}"
        raise UsageError(f"plugin {plugin} has no setting {key!r}", hint=hint)
    found: Mapping[str, Any] = schema[key]
    return found


def check_setting(plugin: str, schema: Mapping[str, Any], key: str, value: object) -> None:
    """Refuses what a plugin does not allow.

    Raises:
        UsageError: It has no such setting, or the value is none for it.
    """
    fragment = fragment_of(plugin, schema, key)
    if wrong := mistake(value, fragment, f"the config_schema of plugins.{plugin}.{key}"):
        raise UsageError(f"{key}{wrong.path}: {wrong.message}", hint=f"allowed: {_allowed(fragment)}")


def write_setting(file: str, plugin: str, key: str, value: object) -> None:
    """Sets or, where ``value`` is None, removes one value in the user's file, whose comments and order stay."""
    import tomlkit
    from tomlkit.items import Table

    Paths.ensure(os.path.dirname(file))
    with locked(os.path.dirname(file)):
        read_toml(file)  # says where it is wrong, with line and column
        document = tomlkit.parse(_read(file))
        at: Any = document
        for step in ("plugins", plugin):
            if step not in at:
                if value is None:
                    return
                at[step] = tomlkit.table(is_super_table=step == "plugins")
            at = at[step]
            if not isinstance(at, Table | dict):
                raise SettingsError(f"{file}: {step}: expected a table", hint="Correct it in that file.")
        if value is None:
            at.pop(key, None)
        else:
            at[key] = value
        write_atomic(file, tomlkit.dumps(document))


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8-sig") as opened:
            return opened.read()
    except FileNotFoundError:
        return ""
