"""Settings in layers of TOML.

    defaults  <  user file  <  workspace file  <  environment  <  flags

- defaults: the kernel's, and those of the schemas that `Settings.declare` is given.
- user: `settings.toml` in Proxima's configuration directory.
- workspace: `proxima.toml` in the current directory. Its parents are not searched: a file that someone else left
  in a directory above must not change what a command does.
- environment: `PROXIMA_SETTING__plugins__backend_cirq__threads=4`; two underscores for each dot, one where the
  name has a hyphen or an underscore, upper or lower case.
- flags: `plugins.backend-cirq.threads=4`, given by the command line.

Tables merge key by key; anything else in a higher layer replaces what is below it. Text from the environment and
from flags is read as a TOML value (`4`, `true`, `[1, 2]`) where it is one, unless the schema asks for a string.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from proxima.errors import SettingsError
from proxima.nearest import did_you_mean
from proxima.paths import Paths
from proxima.storage import storage_error

ENVIRONMENT_PREFIX = "PROXIMA_SETTING__"

Schema = Mapping[str, Mapping[str, object]]

_ABSENT = object()


class _Layer(NamedTuple):
    source: str  # the file, the environment variable, or `default` or `flag`
    values: Mapping[str, object]


class Settings:
    """The settings as all layers together make them, read by `Settings.load`."""

    def __init__(
        self,
        files: Sequence[str],
        environ: Mapping[str, str],
        flags: Mapping[str, object],
        defaults: Mapping[str, object],
    ) -> None:
        self._files = [_Layer(path, read_toml(path)) for path in files]
        self._environ = dict(environ)
        self._flags = dict(flags)
        self._defaults = dict(defaults)
        self._schemas: dict[str, Schema] = {}

    @classmethod
    def load(
        cls,
        paths: Paths,
        *,
        workspace: str | None = None,
        environ: Mapping[str, str] = os.environ,
        flags: Mapping[str, object] | None = None,
        defaults: Mapping[str, object] | None = None,
    ) -> Settings:
        """Read the layers from their places.

        Args:
            paths: Where the user's file is.
            workspace: The directory of the workspace's file; the current one unless given.
            environ: Where `PROXIMA_SETTING__...` variables are looked for.
            flags: Dotted names to values; text is read as in the environment.
            defaults: The lowest layer, nested as TOML nests.

        Raises:
            SettingsError: a file is not TOML; the message has file, line and column.
            StorageError: a file is there but cannot be read.
        """
        user = os.path.join(paths.config, "settings.toml")
        return cls((user, os.path.join(workspace or os.getcwd(), "proxima.toml")), environ, flags or {}, defaults or {})

    def declare(self, section: str, schema: Schema) -> None:
        """Say what a section holds, e.g. `plugins.backend-cirq` with that plugin's `config_schema`.

        Args:
            section: The dotted name of the section.
            schema: Property names to JSON Schema fragments; `default` in a fragment is the lowest layer's value.
        """
        self._schemas[section] = schema
        self.__dict__.pop("_layers", None)
        self.__dict__.pop("_merged", None)

    def section(self, section: str) -> dict[str, object]:
        """All values of a declared section, checked; a property without default or value is absent.

        Raises:
            SettingsError: a value that the schema refuses, or a name it does not have.
        """
        schema, table = self._schemas[section], _find(self._merged, section)
        if table is _ABSENT:
            return {}
        if not isinstance(table, dict):
            raise SettingsError(f"{self.source(section)}: {section}: expected a table, found {table!r}")
        for key in (f"{section}.{name}" for name in table if name not in schema):
            hint = did_you_mean(key.rpartition(".")[2], schema) or None
            raise SettingsError(f"{self.source(key)}: {key}: unknown setting", hint=hint)
        return {name: self.get(f"{section}.{name}") for name in schema if name in table}

    def get(self, key: str) -> object:
        """The value of a setting, or of a whole table as a dict; checked where its section is declared.

        Raises:
            SettingsError: no layer has it, or its schema refuses it.
        """
        value, fragment = _find(self._merged, key), self._fragment(key)
        if value is _ABSENT:
            raise SettingsError(f"unknown setting {key}", hint=did_you_mean(key, _names(self._merged)) or None)
        if fragment and (source := self.source(key)) != "default":  # the manifest's own check holds for its defaults
            _check(key, value, fragment, source)
        return value

    def source(self, key: str) -> str:
        """Which layer a setting comes from: a file, an environment variable, ``flag`` or ``default``; "" for none."""
        return next((layer.source for layer in reversed(self._layers) if _find(layer.values, key) is not _ABSENT), "")

    @cached_property
    def _layers(self) -> list[_Layer]:
        defaults = _merge({}, self._defaults)
        for section, schema in self._schemas.items():
            values = {name: fragment["default"] for name, fragment in schema.items() if "default" in fragment}
            _merge(defaults, _nested(section, values))
        layers = [_Layer("default", defaults), *self._files]
        for variable, text in sorted(self._environ.items()):
            if variable.startswith(ENVIRONMENT_PREFIX):
                key = self._key_of(variable.removeprefix(ENVIRONMENT_PREFIX))
                layers.append(_Layer(variable, _nested(key, self._read(key, text))))
        for key, value in self._flags.items():
            layers.append(_Layer("flag", _nested(key, self._read(key, value))))
        return layers

    @cached_property
    def _merged(self) -> dict[str, object]:
        merged: dict[str, object] = {}
        for layer in self._layers:
            _merge(merged, layer.values)
        return merged

    def _fragment(self, key: str) -> Mapping[str, object]:
        section, _, name = key.rpartition(".")
        return self._schemas.get(section, {}).get(name, {})

    def _read(self, key: str, value: object) -> object:
        if isinstance(value, str) and self._fragment(key).get("type") != "string":
            return from_text(value)
        return value

    def _key_of(self, variable: str) -> str:
        """`plugins.backend-cirq.threads` for the `PLUGINS__BACKEND_CIRQ__THREADS` of an environment variable."""
        written = _spelling(variable)
        for section in sorted(self._schemas, key=len, reverse=True):
            start = _spelling(section) + "__"
            if written.startswith(start):
                rest = written.removeprefix(start)
                known = {_spelling(name): name for name in self._schemas[section]}
                return f"{section}.{known.get(rest, rest.replace('__', '.'))}"
        return variable.lower().replace("__", ".")


def from_text(text: str) -> object:
    """Read text as a TOML value where it is one, else keep it as a string."""
    import tomllib

    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def read_toml(path: str) -> dict[str, object]:
    """The content of a TOML file; empty where there is none.

    Raises:
        SettingsError: it is not TOML, or not UTF-8; the message has file, line and column.
        StorageError: it is there but cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise storage_error("read", path, error) from error
    except UnicodeDecodeError as error:
        line, column = _line_and_column(error.object[: error.start].decode())
        raise SettingsError(f"{path}:{line}:{column}: this is not UTF-8 text") from error
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Only Python 3.14 has the position as attributes.
        reason, _, position = str(error).rpartition(" (at ")
        numbers = re.findall(r"\d+", position)
        line, column = map(int, numbers) if len(numbers) == 2 else _line_and_column(text)
        hint = "Correct that line; nothing was read from the file."
        raise SettingsError(f"{path}:{line}:{column}: {reason}", hint=hint) from error
    except RecursionError:
        raise SettingsError(f"{path}: nested too deeply") from None


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _split(key: str) -> list[str]:
    parts = key.split(".")
    if not all(parts):
        raise SettingsError(f"{key!r} names no setting", hint="Names look like plugins.backend-cirq.threads.")
    return parts


def _spelling(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "__")


def _nested(key: str, value: object) -> dict[str, object]:
    *parents, last = _split(key)
    nested = {last: value}
    for part in reversed(parents):
        nested = {part: nested}
    return nested


def _find(values: object, key: str) -> object:
    for part in _split(key):
        values = values.get(part, _ABSENT) if isinstance(values, Mapping) else _ABSENT
    return values


def _merge(low: dict[str, object], high: Mapping[str, object]) -> dict[str, object]:
    for name, value in high.items():
        below = low.get(name)
        if isinstance(value, Mapping):
            low[name] = _merge(below if isinstance(below, dict) else {}, value)
        else:
            low[name] = value
    return low


def _names(values: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _check(key: str, value: object, fragment: Mapping[str, object], source: str) -> None:
    from proxima.schema import mistake

    wrong = mistake(value, fragment, f"the config_schema of {key}")
    if wrong is not None:
        import json

        expected = {name: each for name, each in fragment.items() if name not in ("default", "description", "title")}
        hint = f"Expected {json.dumps(expected, default=str)}."
        raise SettingsError(f"{source}: {key}{wrong.path}: {wrong.message}", hint=hint)
