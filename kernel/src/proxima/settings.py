"""Settings in layers of TOML, each value known by where it comes from.

    defaults  <  user file  <  workspace file  <  environment  <  flags

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
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass

from proxima.errors import ManifestError, SettingsError
from proxima.nearest import did_you_mean
from proxima.paths import Paths
from proxima.storage import locked_directory, storage_error, write_atomic

ENVIRONMENT_PREFIX = "PROXIMA_SETTING__"

Schema = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting's value and where it comes from.

    Attributes:
        key: Its dotted name.
        value: What TOML gives: str, int, float, bool, a date or time, list or dict.
        layer: `default`, `user`, `workspace`, `environment` or `flag`.
        source: The file, the environment variable, or the layer's name.
    """

    key: str
    value: object
    layer: str
    source: str


@dataclass(frozen=True, slots=True)
class _Leaf:
    value: object
    layer: str
    source: str
    text: str | None = None


_Tree = dict[str, "_Leaf | _Tree"]


class Settings:
    """The settings as all layers together make them.

    Args:
        user_file: The file that `set` writes.
        workspace_file: The workspace's file, or None for no such layer.
        environ: Where `PROXIMA_SETTING__...` variables are looked for.
        flags: Dotted names to values; text is read as in the environment.
        defaults: The lowest layer, nested as TOML nests.

    Raises:
        SettingsError: a file is not TOML; the message has file, line and column.
        StorageError: a file is there but cannot be read.
    """

    def __init__(
        self,
        user_file: str,
        workspace_file: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, object] | None = None,
        defaults: Mapping[str, object] | None = None,
    ) -> None:
        self._user_file = user_file
        self._workspace_file = workspace_file
        self._environ = dict(environ or {})
        self._flags = dict(flags or {})
        self._defaults = dict(defaults or {})
        self._schemas: dict[str, Schema] = {}
        self._user = read_toml(user_file)
        self._workspace = read_toml(workspace_file) if workspace_file else {}
        self._tree = self._merged()

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
        """Read the layers from their usual places; `workspace` is the current directory unless given."""
        return cls(
            os.path.join(paths.config, "settings.toml"),
            os.path.join(workspace or os.getcwd(), "proxima.toml"),
            environ=environ,
            flags=flags,
            defaults=defaults,
        )

    def declare(self, section: str, schema: Schema) -> None:
        """Say what a section holds, e.g. `plugins.backend-cirq` with that plugin's `config_schema`.

        Args:
            section: The dotted name of the section.
            schema: Property names to JSON Schema fragments; `default` in a fragment is the lowest layer's value.
        """
        self._schemas[section] = schema
        self._tree = self._merged()

    def section(self, section: str) -> dict[str, object]:
        """All values of a declared section, checked; a property without default or value is absent.

        Raises:
            SettingsError: a value that the schema refuses, or a name it does not have.
        """
        schema = self._schemas[section]
        found = self._find(section)
        tree = found if isinstance(found, dict) else {}
        if isinstance(found, _Leaf):
            raise SettingsError(f"{found.source}: {section}: expected a table, found {found.value!r}")
        for name in tree:
            if name not in schema:
                leaf = next(_leaves(tree[name]), None)
                where = leaf.source if leaf else "settings"
                raise SettingsError(
                    f"{where}: {section}.{name}: unknown setting", hint=did_you_mean(name, schema) or None
                )
        return {name: self.get(f"{section}.{name}") for name in schema if name in tree}

    def get(self, key: str) -> object:
        """The value of a setting, or of a whole table as a dict; checked where its section is declared.

        Raises:
            SettingsError: no layer has it, or its schema refuses it.
        """
        return self.explain(key).value

    def explain(self, key: str) -> Setting:
        """The value of a setting with the layer it comes from; of a table, the highest layer that is in it."""
        found = self._find(key)
        if found is None:
            raise SettingsError(f"unknown setting {key}", hint=did_you_mean(key, self.keys()) or None)
        fragment = self._fragment(key)
        value: object
        if isinstance(found, dict):
            value = _plain(found)
            leaves = list(_leaves(found))
            top = max(leaves, key=lambda leaf: _LAYERS.index(leaf.layer), default=_Leaf(None, "default", "default"))
        else:
            value, top = found.value, found
            if found.text is not None and fragment is not None and fragment.get("type") == "string":
                value = found.text
        if fragment is not None and top.layer != "default":  # the manifest's own check holds for its defaults
            _check(key, value, fragment, top.source)
        return Setting(key, value, top.layer, top.source)

    def keys(self) -> list[str]:
        """Every setting that has a value, as dotted names in order."""
        return sorted(_names(self._tree))

    def set(self, key: str, value: object) -> None:
        """Write one setting to the user's file, which keeps its comments and layout.

        Raises:
            SettingsError: the schema refuses it, TOML cannot hold it, or a part of the key is no table.
            StorageError: the file cannot be written; it is then as it was.
        """
        fragment = self._fragment(key)
        section = next((each for each in self._schemas if key.startswith(each + ".")), None)
        if section is not None and fragment is None:
            name = key[len(section) + 1 :].split(".")[0]
            raise SettingsError(
                f"{section}.{name}: unknown setting", hint=did_you_mean(name, self._schemas[section]) or None
            )
        if fragment is not None and key.count(".") == (section or "").count(".") + 1:
            _check(key, value, fragment, self._user_file)
        self._edit(key, value)

    def unset(self, key: str) -> None:
        """Take one setting out of the user's file; nothing happens where it is not in it."""
        self._edit(key, None)

    def _edit(self, key: str, value: object | None) -> None:
        import tomlkit
        import tomlkit.exceptions

        directory = Paths.ensure(os.path.dirname(os.path.abspath(self._user_file)))
        with locked_directory(directory):
            text = _read_text(self._user_file) or ""
            _parse_toml(text, self._user_file)
            document = tomlkit.parse(text)
            *parents, last = _split(key)
            table: MutableMapping[str, object] = document
            for index, part in enumerate(parents):
                child = table.get(part)
                if child is None and value is None:
                    return
                if child is None:
                    child = tomlkit.table(is_super_table=index < len(parents) - 1)
                    table[part] = child
                    child = table[part]
                if not isinstance(child, MutableMapping):
                    where = ".".join(parents[: index + 1])
                    raise SettingsError(f"{self._user_file}: {where} is a value, so {key} cannot be set below it")
                table = child
            if value is None:
                table.pop(last, None)
            else:
                if isinstance(table.get(last), MutableMapping) and not isinstance(value, Mapping):
                    raise SettingsError(f"{self._user_file}: {key} is a table, so it cannot be set to a value")
                try:
                    table[last] = value
                except (ValueError, tomlkit.exceptions.TOMLKitError) as error:
                    raise SettingsError(f"{key}: TOML has no form for {value!r}") from error
            edited = tomlkit.dumps(document)
            self._user = _parse_toml(edited, self._user_file)
            write_atomic(self._user_file, edited)
        self._tree = self._merged()

    def _merged(self) -> _Tree:
        tree: _Tree = {}
        _merge(tree, _tree(self._defaults, "default", "default"))
        for section, schema in self._schemas.items():
            table: _Tree = {
                name: _Leaf(fragment["default"], "default", "default")
                for name, fragment in schema.items()
                if "default" in fragment
            }
            _merge(tree, _nested(_split(section), table))
        _merge(tree, _tree(self._user, "user", self._user_file))
        _merge(tree, _tree(self._workspace, "workspace", self._workspace_file or ""))
        known = _Known(tree, self._schemas)
        for variable, text in sorted(self._environ.items()):
            if variable.upper().startswith(ENVIRONMENT_PREFIX):
                parts = known.spelled(variable[len(ENVIRONMENT_PREFIX) :].split("__"))
                if all(parts):
                    _merge(tree, _nested(parts, _Leaf(from_text(text), "environment", variable, text)))
        for key, value in self._flags.items():
            leaf = (
                _Leaf(from_text(value), "flag", "flag", value)
                if isinstance(value, str)
                else _Leaf(value, "flag", "flag")
            )
            _merge(tree, _nested(_split(key), leaf))
        return tree

    def _find(self, key: str) -> _Leaf | _Tree | None:
        found: _Leaf | _Tree | None = self._tree
        for part in _split(key):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def _fragment(self, key: str) -> Mapping[str, object] | None:
        section, _, name = key.rpartition(".")
        return self._schemas.get(section, {}).get(name)


_LAYERS = ("default", "user", "workspace", "environment", "flag")


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
    text = _read_text(path)
    return {} if text is None else _parse_toml(text, path)


def _read_text(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error("read", path, error) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise SettingsError(f"{path}:{line}:{column}: this is not UTF-8 text") from error


def _parse_toml(text: str, path: str) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Only Python 3.14 has the position as attributes.
        message = str(error)
        position = re.search(r" \(at line (\d+), column (\d+)\)$", message)
        if position:
            line, column = int(position[1]), int(position[2])
        else:
            line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
        reason = re.sub(r" \(at [^()]*\)$", "", message)
        raise SettingsError(
            f"{path}:{line}:{column}: {reason}", hint="Correct that line; nothing was read from the file."
        ) from error
    except RecursionError:
        raise SettingsError(f"{path}: nested too deeply") from None


def _split(key: str) -> list[str]:
    parts = key.split(".")
    if not all(parts):
        raise SettingsError(f"{key!r} names no setting", hint="Names look like plugins.backend-cirq.threads.")
    return parts


def _tree(values: Mapping[str, object], layer: str, source: str) -> _Tree:
    return {
        str(name): _tree(value, layer, source) if isinstance(value, Mapping) else _Leaf(value, layer, source)
        for name, value in values.items()
    }


def _nested(parts: list[str], inner: _Leaf | _Tree) -> _Tree:
    for part in reversed(parts):
        inner = {part: inner}
    assert isinstance(inner, dict)
    return inner


def _merge(low: _Tree, high: _Tree) -> None:
    for name, value in high.items():
        below = low.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            _merge(below, value)
        else:
            low[name] = value


def _plain(tree: _Tree) -> dict[str, object]:
    return {name: _plain(each) if isinstance(each, dict) else each.value for name, each in tree.items()}


def _leaves(node: _Leaf | _Tree) -> Iterator[_Leaf]:
    if isinstance(node, _Leaf):
        yield node
    else:
        for each in node.values():
            yield from _leaves(each)


def _names(tree: _Tree, prefix: str = "") -> Iterator[str]:
    for name, each in tree.items():
        if isinstance(each, dict):
            yield from _names(each, f"{prefix}{name}.")
        else:
            yield prefix + name


class _Known:
    """The names there are, to find `backend-cirq` for the `BACKEND_CIRQ` of an environment variable."""

    def __init__(self, tree: _Tree, schemas: Mapping[str, Schema]) -> None:
        self._tree: _Tree = {}
        _merge(self._tree, _tree(_plain(tree), "", ""))
        for section, schema in schemas.items():
            # Names alone count here, so that a property without a default is found too.
            names: _Tree = {name: {} for name in schema}
            known = _nested(_split(section), names)
            _merge(known, self._tree)
            self._tree = known

    def spelled(self, parts: list[str]) -> list[str]:
        node: _Leaf | _Tree | None = self._tree
        names = []
        for part in parts:
            candidates = node if isinstance(node, dict) else {}
            wanted = _normal(part)
            name = part if part in candidates else next((c for c in candidates if _normal(c) == wanted), part.lower())
            names.append(name)
            node = candidates.get(name)
        return names


def _normal(name: str) -> str:
    return name.lower().replace("-", "_")


def _check(key: str, value: object, fragment: Mapping[str, object], source: str) -> None:
    import json

    import jsonschema
    import referencing
    import referencing.exceptions

    try:
        jsonschema.Draft202012Validator.check_schema(dict(fragment))
        # An empty registry: without one, a `$ref` in a manifest would have jsonschema fetch that address.
        validator = jsonschema.Draft202012Validator(dict(fragment), registry=referencing.Registry())
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    except (jsonschema.SchemaError, referencing.exceptions.Unresolvable) as broken:
        raise ManifestError(f"the config_schema of {key} is not a JSON Schema: {broken}") from broken
    if error is not None:
        expected = {name: each for name, each in fragment.items() if name not in ("default", "description", "title")}
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        raise SettingsError(
            f"{source}: {key}{path}: {error.message}", hint=f"Expected {json.dumps(expected, default=str)}."
        )
