"""JSON Schema at the border: a schema comes from a plugin, so a wrong one is an error of its own; none is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxima.errors import ManifestError

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


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
    if is_usual(schema):
        return
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(dict(schema))
    except jsonschema.SchemaError as broken:
        raise ManifestError(f"{what} is not a JSON Schema: {broken.message}") from broken


def is_usual(schema: object) -> bool:
    """Whether it is a JSON Schema for certain: of the words that most are made of, each with what belongs to it.

    jsonschema comes to the same, and takes a twentieth of a second to be imported.
    """
    if not isinstance(schema, Mapping):
        return isinstance(schema, bool)
    return all(_is_usual_word(word, value) for word, value in schema.items())


def _is_usual_word(word: object, value: object) -> bool:
    match word:
        case "title" | "description":
            return isinstance(value, str)
        case "type":
            return isinstance(value, str) and value in _TYPES
        case "properties":
            return isinstance(value, Mapping) and all(isinstance(k, str) and is_usual(v) for k, v in value.items())
        case "items" | "additionalProperties":
            return is_usual(value)
        case "required":
            return isinstance(value, list) and all(isinstance(k, str) for k in value) and len(set(value)) == len(value)
        case "enum":
            return isinstance(value, list)
        case "minimum" | "maximum":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "default":
            return True
    return False
