"""What is taken for a JSON Schema without asking jsonschema is one."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.errors import ManifestError
from proxima.schema import check_schema, is_usual

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

plain = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(("", "type", *TYPES))
words = st.sampled_from(
    (
        *("title", "description", "type", "properties", "items", "additionalProperties", "required", "enum"),
        *("minimum", "maximum", "default", "pattern", "$ref", "minLength"),
    )
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.sampled_from(("a", "b")), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(words, values, max_size=4))
def test_what_is_usual_is_a_schema(schema: dict[str, Any]) -> None:
    if is_usual(schema):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {
            "title": "Adds",
            "type": "object",
            "properties": {"left": {"type": "number", "minimum": 0}, "rest": {"type": "array", "items": True}},
            "required": ["left"],
            "additionalProperties": False,
        },
    ],
)
def test_tools_say_what_they_take_in_usual_words(schema: dict[str, Any]) -> None:
    assert is_usual(schema)
    check_schema(schema, "it")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"required": ["a", "a"]},
        {"required": ("a",)},
        {"minimum": True},
        {"properties": {"a": 1}},
        {"items": {"properties": {"a": {"title": 3}}}},
        {"pattern": "("},
    ],
)
def test_says_what_is_wrong(schema: dict[str, Any]) -> None:
    assert not is_usual(schema)
    with pytest.raises(ManifestError, match="it is not a JSON Schema: "):
        check_schema(schema, "it")


def test_rare_words_are_left_to_jsonschema() -> None:
    assert not is_usual({"$defs": {"a": True}, "$ref": "#/$defs/a"})
    check_schema({"$defs": {"a": True}, "$ref": "#/$defs/a"}, "it")
