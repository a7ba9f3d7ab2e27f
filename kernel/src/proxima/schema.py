"""JSON Schema at the border: a schema comes from a plugin, so a wrong one is an error of its own; none is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxima.errors import ManifestError


class Mistake(NamedTuple):
    """Where a value breaks its schema (``[0].name``, empty for the value itself), and how."""

    path: str
    message: str


def mistake(value: object, schema: Mapping[str, Any], what: str) -> Mistake | None:
    """The most telling way in which a value breaks its schema; ``None`` where it keeps it.

    Raises:
        ManifestError: ``schema`` is none, or refers to another; ``what`` names it.
    """
    import jsonschema
    import referencing
    import referencing.exceptions

    check_schema(schema, what)
    try:
        # An empty registry: without one, a `$ref` in a manifest would have jsonschema fetch that address.
        validator = jsonschema.Draft202012Validator(dict(schema), registry=referencing.Registry())
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    except referencing.exceptions.Unresolvable as broken:
        raise ManifestError(f"{what} is not a JSON Schema: {broken}") from broken
    if error is None:
        return None
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return Mistake(path, error.message)


def check_schema(schema: Mapping[str, Any], what: str) -> None:
    """Makes sure that something is a JSON Schema.

    Raises:
        ManifestError: It is none; ``what`` names it.
    """
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(dict(schema))
    except jsonschema.SchemaError as broken:
        raise ManifestError(f"{what} is not a JSON Schema: {broken.message}") from broken
