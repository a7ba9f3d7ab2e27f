import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.errors import ManifestError
from proxima.plugins.manifest import KINDS, Manifest, read_manifest
from proxima_sdk.manifest.model import check_manifest

AUTHORED = {
    "name": "tea",
    "version": "1.0",
    "description": "Tea",
    "license": "MIT",
    "type": "backend",
    "permissions": ["network:example.org"],
    "config_schema": {"sugar": {"type": "integer", "default": 2}},
    "entry_points": {
        "backends": [{"name": "pot", "class": "plug_tea.Pot", "description": "A pot"}],
        "commands": [{"name": "brew", "class": "plug_tea.Brew"}],
    },
}


def compiled(**changes):
    return check_manifest(AUTHORED, source="tea").compiled() | changes


def test_reads_what_the_kernel_needs_and_keeps_the_rest():
    manifest = Manifest.from_dict(compiled(), source="tea")
    assert (manifest.id, manifest.version, manifest.display_name, manifest.type) == ("tea", "1.0", "tea", "backend")
    assert manifest.permissions == ("network:example.org",)
    assert manifest.config_schema == {"sugar": {"type": "integer", "default": 2}}
    assert [(c.kind, c.name, c.plugin, c.target, c.description) for c in manifest.contributions] == [
        ("backends", "pot", "tea", "plug_tea.Pot", "A pot"),
        ("commands", "brew", "tea", "plug_tea.Brew", ""),
    ]
    assert manifest.raw["license"] == "MIT"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format: expected 1, got 2"),
        ({"format": None}, "format: expected 1, got None"),
        ({"name": 7}, "name: expected text, got 7"),
        ({"version": 1.0}, "version: expected text, got 1.0"),
        ({"fits": []}, "fits: expected text, got []"),
        ({"display_name": None}, "display_name: expected text, got None"),
        ({"permissions": "all"}, "permissions: expected a list, got 'all'"),
        ({"permissions": [1]}, "permissions[0]: expected text, got 1"),
        ({"config_schema": []}, "config_schema: expected a mapping, got []"),
        ({"config_schema": {"sugar": 5}}, "config_schema.sugar: expected a mapping, got 5"),
        ({"entry_points": []}, "entry_points: expected a mapping, got []"),
        ({"entry_points": {"cakes": []}}, "entry_points.cakes: no such kind; the kinds are backends, formats"),
        ({"entry_points": {"tools": {}}}, "entry_points.tools: expected a list, got {}"),
        ({"entry_points": {"tools": [3]}}, "entry_points.tools[0]: expected a mapping, got 3"),
        ({"entry_points": {"tools": [{"name": "x"}]}}, "entry_points.tools[0].class: missing; expected text"),
        (
            {"entry_points": {"tools": [{"name": 1, "class": "a.B"}]}},
            "entry_points.tools[0].name: expected text, got 1",
        ),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(changes, message):
    with pytest.raises(ManifestError) as caught:
        Manifest.from_dict(compiled(**changes), source="tea.json")
    assert str(caught.value).startswith(f"tea.json: {message}")


@pytest.mark.parametrize("field", ["name", "version", "fits", "description", "type", "permissions", "entry_points"])
def test_a_missing_field_is_named(field):
    raw = compiled()
    del raw[field]
    with pytest.raises(ManifestError, match=f"tea.json: {field}: missing; expected"):
        Manifest.from_dict(raw, source="tea.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"format": 1' + b"0" * 10_000 + b"}", "not JSON"),
        (b"\xff\xfe", "missing, larger than 1 MiB, or not UTF-8 text"),
        (b" " * (2 << 20), "missing, larger than 1 MiB, or not UTF-8 text"),
        (b"[]", "the manifest: expected a mapping, got []"),
        (b"null", "the manifest: expected a mapping, got None"),
    ],
    ids=["empty", "truncated", "nested", "long number", "binary", "huge", "list", "null"],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path, content, message):
    path = tmp_path / "proxima-plugin.json"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"proxima-plugin\.json: ") as caught:
        read_manifest(str(path))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*compiled(), *KINDS, "class"]), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(json_values)
def test_any_json_is_a_manifest_or_refused(raw):
    with pytest.raises(ManifestError):
        Manifest.from_dict(raw, source="any")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*compiled()]), json_values, max_size=3))
def test_any_change_of_a_manifest_is_read_or_refused(changes):
    try:
        manifest = Manifest.from_dict(compiled(**changes), source="any")
    except ManifestError as error:
        assert str(error).startswith("any: ")  # noqa: PT017 - most changes are right
    else:
        assert manifest.raw == json.loads(json.dumps(compiled(**changes))) or changes
