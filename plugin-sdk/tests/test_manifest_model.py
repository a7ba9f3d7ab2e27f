import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.errors import ManifestError
from proxima.plugins.manifest import KINDS, Manifest
from proxima_sdk.manifest.compile import load_yaml
from proxima_sdk.manifest.model import EntryPointsModel, check_manifest, json_schema

GUIDE = """
# Plugin Manifest
name: "advanced-vqe"
version: "1.2.0"
display_name: "Advanced VQE Solver"
description: "Enhanced Variational Quantum Eigensolver with advanced optimizers"
author: "Dr. Jane Quantum"
email: "jane@quantum-research.org"
website: "https://github.com/janequantum/advanced-vqe"
license: "MIT"

# Compatibility
proxima_version: ">=2.0.0,<3.0.0"
python_version: ">=3.9"

# Plugin type and capabilities
type: "algorithm"
category: "optimization"
tags:
  - "vqe"
  - "variational"
  - "optimization"
  - "quantum-chemistry"

# Entry points
entry_points:
  algorithms:
    - name: "AdvancedVQE"
      class: "advanced_vqe.solver.AdvancedVQE"
      description: "VQE with COBYLA, SPSA, and custom optimizers"

  backends:
    - name: "vqe_simulator"
      class: "advanced_vqe.backend.VQESimulator"
      description: "Optimized simulator for VQE circuits"

# Dependencies
dependencies:
  python:
    - "numpy>=1.21.0"
    - "scipy>=1.7.0"
    - "qiskit>=0.39.0"

  system:
    - "fortran-compiler" # Optional system dependencies

# Permissions
permissions:
  - "execute_circuits"
  - "file_read"
  - "file_write:workspace" # Limited to workspace directory
  - "network:github.com" # Specific domain only

# Configuration
config_schema:
  optimizer:
    type: "string"
    enum: ["COBYLA", "SPSA", "ADAM", "LBFGS"]
    default: "COBYLA"

  max_iterations:
    type: "integer"
    minimum: 1
    maximum: 10000
    default: 1000

  convergence_threshold:
    type: "number"
    default: 1e-6

# Marketplace information
marketplace:
  price: "free" # or "paid" with amount
  featured: false
  mature_rating: false
  support_url: "https://github.com/janequantum/advanced-vqe/issues"
  documentation_url: "https://advanced-vqe.readthedocs.io"
"""

LEAST = {"name": "tea", "version": "1.0", "description": "Tea", "license": "MIT", "type": "tool"}


def contained(part, whole):
    """Whether every field of the one is in the other with the same value."""
    if isinstance(part, dict):
        return all(key in whole and contained(value, whole[key]) for key, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(contained, part, whole))
    return part == whole


def test_the_guides_example_is_valid_as_it_stands_and_every_field_survives(tmp_path):
    path = tmp_path / "plugin.yaml"
    path.write_text(GUIDE)
    compiled = json.loads(json.dumps(load_yaml(path).compiled()))
    authored = yaml.safe_load(GUIDE)
    # PyYAML reads the number of the guide as text, permissions are written out in full.
    authored["config_schema"]["convergence_threshold"]["default"] = 1e-6
    authored["permissions"][1] = "file_read:workspace"
    assert contained(authored, compiled)
    manifest = Manifest.from_dict(compiled, source="guide")
    assert [(c.kind, c.name) for c in manifest.contributions] == [
        ("backends", "vqe_simulator"),
        ("algorithms", "AdvancedVQE"),
    ]
    assert manifest.fits == "kernel-api>=1 kernel-api<=1 python>=3.9 proxima<3.0.0 proxima>=2.0.0"


def with_(path, value):
    data = json.loads(json.dumps(LEAST))
    *parents, last = path.split(".")
    at = data
    for parent in parents:
        at = at.setdefault(parent, {})
    at[last] = value
    return data


TOOL = {"name": "pot", "class": "plug_tea.Pot"}
CAPABILITIES = {"methods": ["x"], "wants": ["counts"], "precisions": ["double"], "noise": False, "dynamic": False}

# Each: the field's path, its value, what the message says after the source. These break a rule that JSON Schema can
# say, so that the published schema refuses them too.
STRUCTURAL = [
    ("nme", "tea", "nme: there is no such field"),
    ("name", "My Tea", "name: expected text like '^[a-z0-9]+(-[a-z0-9]+)*$', got 'My Tea'"),
    ("name", "../tea", "name: expected text like"),
    ("name", "t" * 65, "name: String should have at most 64 characters, got 'ttt"),
    ("name", 5, "name: expected a valid string, got 5"),
    ("version", 1.0, "version: expected a valid string, got 1.0"),
    ("description", "", "description: String should have at least 1 character, got ''"),
    ("license", None, "license: expected a valid string, got None"),
    ("type", "teapot", "type: expected 'backend', 'algorithm'"),
    ("tags", "vqe", "tags: expected a valid list, got 'vqe'"),
    ("tags", [1], "tags[0]: expected a valid string, got 1"),
    ("kernel_api", 1, "kernel_api: expected a valid string, got 1"),
    ("kernel_api", "one", 'kernel_api: expected a number such as "1" or a range such as "1-2", got \'one\''),
    ("kernel_api", "0", 'kernel_api: expected a number such as "1"'),
    ("kernel_api", "1 - 2", 'kernel_api: expected a number such as "1"'),
    ("entry_points", [], "entry_points: expected a valid dictionary or instance of EntryPointsModel, got []"),
    ("entry_points.cakes", [], "entry_points.cakes: there is no such field"),
    ("entry_points.tools", [{"name": "pot"}], "entry_points.tools[0].class: missing; this field is required"),
    ("entry_points.tools", [TOOL | {"class": "Pot"}], 'entry_points.tools[0].class: expected "package.module.Class"'),
    ("entry_points.tools", [TOOL | {"class": "a..B"}], 'entry_points.tools[0].class: expected "package.module.Class"'),
    (
        "entry_points.tools",
        [TOOL | {"name": ""}],
        "entry_points.tools[0].name: String should have at least 1 character",
    ),
    ("entry_points.services", [TOOL], "entry_points.services[0].contract: missing; this field is required"),
    (
        "entry_points.formats",
        [TOOL | {"extensions": ["qasm"]}],
        "entry_points.formats[0].extensions[0]: expected text like",
    ),
    (
        "entry_points.backends",
        [TOOL | {"capabilities": CAPABILITIES | {"wants": ["luck"]}}],
        "entry_points.backends[0].capabilities.wants[0]: expected 'counts'",
    ),
    (
        "entry_points.backends",
        [TOOL | {"capabilities": CAPABILITIES | {"max_qubits": 0}}],
        "entry_points.backends[0].capabilities.max_qubits: expected greater than or equal to 1, got 0",
    ),
    (
        "entry_points.backends",
        [TOOL | {"capabilities": CAPABILITIES | {"qubits": 3}}],
        "entry_points.backends[0].capabilities.qubits: there is no such field",
    ),
    ("dependencies", {"rust": []}, "dependencies.rust: there is no such field"),
    ("permissions", "network", "permissions: expected a valid list, got 'network'"),
    ("isolation", "thread", "isolation: expected 'in-process' or 'worker', got 'thread'"),
    ("config_schema", {"sugar": 3}, "config_schema.sugar: expected a valid dictionary, got 3"),
    ("marketplace", {"price": "cheap"}, "marketplace.price"),
    ("marketplace", {"price": {"amount": 0}}, "marketplace.price"),
    ("marketplace", {"price": {"amount": 5, "currency": "usd"}}, "marketplace.price"),
    ("marketplace", {"featured": "perhaps"}, "marketplace.featured: expected a valid boolean"),
]
# And what only the model knows.
SEMANTIC = [
    ("version", "one", "version: expected a version such as 1.2.0, got 'one'"),
    ("proxima_version", "2.0", "proxima_version: expected a version range such as \">=1.0,<2\", got '2.0'"),
    ("python_version", "===3.11", "python_version: === compares text, not versions; write == in '===3.11'"),
    ("python_version", ">=3.11rc1", "python_version: expected numbers only, such as 1.4, got '3.11rc1' in '>=3.11rc1'"),
    ("kernel_api", "2-1", 'kernel_api: expected a number such as "1"'),
    (
        "entry_points.tools",
        [TOOL | {"class": "a.class"}],
        'entry_points.tools[0].class: expected "package.module.Class"',
    ),
    ("entry_points", {"tools": [TOOL, TOOL]}, "entry_points: tools: the name 'pot' occurs twice"),
    ("dependencies", {"python": ["numpy >"]}, "dependencies.python[0]: expected a requirement such as"),
    ("permissions", ["root"], "permissions[0]: "),
    ("permissions", ["network:"], "permissions[0]: "),
    ("config_schema", {"sugar": {"type": "spoon"}}, "the manifest: config_schema.sugar: 'spoon' is not valid under"),
    (
        "config_schema",
        {"sugar": {"type": "integer", "default": "two"}},
        "the manifest: config_schema.sugar: 'two' is not of type 'integer'",
    ),
    (
        "config_schema",
        {"sugar": {"$ref": "http://localhost:1/x", "default": 1}},
        "the manifest: config_schema.sugar: cannot resolve 'http://localhost:1/x'",
    ),
    ("config_schema", {"sugar": {"default": float("nan")}}, "JSON cannot hold it: "),
    ("entry_points.tools", [TOOL | {"limit": float("inf")}], "JSON cannot hold it: "),
]


@pytest.mark.parametrize(("path", "value", "message"), STRUCTURAL + SEMANTIC)
def test_a_wrong_field_is_named_with_what_was_expected(path, value, message):
    with pytest.raises(ManifestError) as caught:
        check_manifest(with_(path, value), source="tea.yaml")
    assert str(caught.value).startswith(f"tea.yaml: {message}")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("field", LEAST)
def test_a_required_field_that_is_missing_is_named(field):
    data = {key: value for key, value in LEAST.items() if key != field}
    with pytest.raises(ManifestError, match=f"tea.yaml: {field}: missing; this field is required"):
        check_manifest(data, source="tea.yaml")
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(data))


def test_every_wrong_field_has_a_line_of_its_own():
    with pytest.raises(ManifestError) as caught:
        check_manifest({"name": 1, "version": "x"}, source="tea.yaml")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["name", "version", "description", "license", "type"]


@pytest.mark.parametrize("data", [None, [], "tea", 5, True])
def test_what_is_no_mapping_is_no_manifest(data):
    with pytest.raises(ManifestError, match=r"tea\.yaml: expected a mapping of fields, got"):
        check_manifest(data, source="tea.yaml")


ACCEPTED = [
    LEAST,
    yaml.safe_load(GUIDE.replace("1e-6", "0.000001")),
    with_("kernel_api", "1-2"),
    with_("marketplace", {"price": {"amount": 5}}),
    with_("entry_points.backends", [TOOL | {"capabilities": CAPABILITIES}]),
    with_("entry_points.backends", [TOOL | {"capabilities": None}]),
    with_("entry_points.formats", [TOOL | {"extensions": [".qasm"], "anything": [1, {"else": None}]}]),
    with_("isolation", "worker"),
]


@pytest.mark.parametrize("data", ACCEPTED)
def test_the_schema_accepts_what_the_model_accepts(data):
    check_manifest(data, source="tea.yaml")
    jsonschema.validate(data, json_schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, value, _ in STRUCTURAL])
def test_the_schema_refuses_what_breaks_the_structure(path, value):
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(with_(path, value)))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=5)
    | st.sampled_from(["1.0", "tea", "a.B", "counts"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "class", "tools", "x"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.sampled_from([*json_schema()["properties"], "x"]), values)
def test_any_field_is_accepted_or_named_and_the_schema_never_refuses_what_the_model_accepts(field, value):
    data = LEAST | {field: value}
    try:
        model = check_manifest(data, source="any")
    except ManifestError as error:
        assert all(line.startswith("any: ") for line in str(error).splitlines())  # noqa: PT017 - some are right
        return
    jsonschema.validate(data, json_schema(), cls=jsonschema.Draft202012Validator)
    again = {key: each for key, each in model.compiled().items() if key not in ("format", "fits", "kinds")}
    assert check_manifest(again, source="again").compiled() == model.compiled()
    Manifest.from_dict(model.compiled(), source="compiled")


def test_the_kinds_of_the_model_are_the_kernels():
    assert tuple(EntryPointsModel.model_fields) == KINDS


def test_the_published_schema_is_the_models():
    published = Path(__file__).parents[2] / "docs" / "developer-guide" / "plugin-manifest.schema.json"
    printed = subprocess.run(
        [sys.executable, "-m", "proxima_sdk.manifest.compile", "--schema"], capture_output=True, text=True, check=True
    )
    assert published.read_text("utf-8") == printed.stdout
    jsonschema.Draft202012Validator.check_schema(json.loads(printed.stdout))
