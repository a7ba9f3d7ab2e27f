import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.errors import ManifestError
from proxima.plugins.manifest import read_manifest
from proxima.plugins.scan import read_header
from proxima_sdk.manifest.compile import compile_manifest, load_yaml, main

MANIFEST = """
name: tea
version: "1.0"
description: Tea
license: MIT
type: tool
kernel_api: 1-2
entry_points:
  tools:
    - {name: pot, class: plug_tea.Pot}
  commands:
    - {name: brew, class: plug_tea.Brew}
"""
PYPROJECT = (
    '[project]\nname = "tea"\nversion = "1.0"\n[project.entry-points."proxima.plugins"]\ntea = "plug_tea:plugin"\n'
)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "src" / "plug_tea").mkdir(parents=True)
    (tmp_path / "plugin.yaml").write_text(MANIFEST)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


def compile_(project, *options):
    return main([str(project / "plugin.yaml"), *options])


def test_writes_what_the_kernel_reads(project, capsys):
    assert compile_(project) == 0
    target = project / "src" / "plug_tea" / "proxima-plugin.json"
    assert capsys.readouterr().out == f"{target}\n"
    assert read_header(str(target)) == ("kernel-api>=1 kernel-api<=2", "tools commands")
    assert read_manifest(str(target)).fits == "kernel-api>=1 kernel-api<=2"
    assert json.loads(target.read_text())["license"] == "MIT"
    assert target.read_text().isascii()


def test_the_file_may_be_read_by_all_whom_the_umask_lets(project):
    before = os.umask(0o022)
    try:
        compile_(project)
    finally:
        os.umask(before)
    assert (project / "src" / "plug_tea" / "proxima-plugin.json").stat().st_mode & 0o777 == 0o644


def test_compiling_again_writes_nothing(project, capsys):
    compile_(project)
    capsys.readouterr()
    assert compile_(project) == 0
    assert capsys.readouterr().out == ""


def test_check_finds_what_is_missing_or_out_of_date_and_writes_nothing(project, capsys):
    target = project / "src" / "plug_tea" / "proxima-plugin.json"
    assert compile_(project, "--check") == 1
    assert not target.exists()
    compile_(project)
    assert compile_(project, "--check") == 0
    (project / "plugin.yaml").write_text(MANIFEST.replace("Tea", "Black tea"))
    before = target.read_text()
    assert compile_(project, "--check") == 1
    assert target.read_text() == before
    again = f"is out of date: `python -m proxima_sdk.manifest.compile {project / 'plugin.yaml'}` makes it anew"
    assert again in capsys.readouterr().err
    target.write_bytes(b"\xff")
    assert compile_(project, "--check") == 1


@pytest.mark.parametrize(
    ("pyproject", "message"),
    [
        (None, "pyproject.toml: No such file"),
        ("[project", "pyproject.toml: is not TOML: "),
        ("[other]\n", "pyproject.toml: there is no table [project]"),
        ("project = 5\n", "pyproject.toml: there is no table [project]"),
        (PYPROJECT.partition("[project.entry")[0] + "entry-points = 5\n", "project.entry-points: expected a table"),
        (PYPROJECT.replace('name = "tea"', ""), "project.name is missing"),
        (PYPROJECT.replace('"tea"', '"../tea"'), "'../tea' is not a distribution's name"),
        (PYPROJECT.replace('version = "1.0"', ""), "project.version is missing"),
        (PYPROJECT.replace('"1.0"', "1.0"), "project.version expected text, got 1.0"),
        (
            PYPROJECT.replace('version = "1.0"', 'dynamic = ["version"]'),
            "project.version is dynamic, so only a build would tell it\nwrite it down as project.version",
        ),
        (PYPROJECT.replace('"1.0"', '"1.1"'), "plugin.yaml: version: 1.0 differs from 1.1 in "),
        (PYPROJECT.replace("tea = ", "coffee = "), "expected the one name 'tea', got ['coffee']"),
        (PYPROJECT + 'milk = "plug_tea:milk"\n', "expected the one name 'tea', got ['tea', 'milk']"),
        (PYPROJECT.partition("[project.entry")[0], "expected the one name 'tea', got []"),
        (PYPROJECT.replace("plug_tea", "elsewhere"), "the entry point names package 'elsewhere', but there is no "),
        (PYPROJECT.replace('"plug_tea:plugin"', "7"), "project.entry-points: expected a table of tables of texts"),
        (
            PYPROJECT.replace('version = "1.0"', 'version = "1.0"\ndependencies = ["numpy>>2.0"]'),
            "project.dependencies: 'numpy>>2.0' is not a requirement: ",
        ),
    ],
)
def test_a_manifest_that_disagrees_with_the_project_is_refused(project, capsys, pyproject, message):
    if pyproject is None:
        (project / "pyproject.toml").unlink()
    else:
        (project / "pyproject.toml").write_text(pyproject)
    assert compile_(project) == 2
    assert message in capsys.readouterr().err
    with pytest.raises(ManifestError):
        compile_manifest(project / "plugin.yaml")


def laughs(depth):
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": expected a mapping of fields, got NoneType"),
        ("- tea", ": expected a mapping of fields, got list"),
        ("name: [", ":1:8: expected the node content"),
        ("name: tea\n\tversion: 1", ":2:1: found character '\\t'"),
        ("name: tea\nname: tea", ":2:1: the key 'name' occurs twice"),
        (MANIFEST + "config_schema:\n  sugar: {type: integer, type: string}", ": the key 'type' occurs twice"),
        ("1: tea", ":1:1: expected text as a key, got 1"),
        ("yes: tea", ":1:1: expected text as a key, got True"),
        ("[a, b]: tea", ":1:1: expected text as a key, got ["),
        ("{a: b}: tea", ":1:1: expected text as a key, got {"),
        ("a: &a [1]\nb: *a", ":2:"),
        ("a: &a [*a]", "aliases (*name) are not accepted"),
        (laughs(12), "aliases (*name) are not accepted"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor for the tag"),
        ("--- {}\n--- {}", "but found another document"),
        (b"\xff\xfe\x00\xd8", ": "),
        (b"\x00\x01\x02", ": "),
        (b"name: \x1b[31m", ": "),
        ("[" * 100_000, "nested too deeply"),
        ("a: " + "{a: " * 5_000, "nested too deeply"),
        (MANIFEST + "config_schema: {a: " + "{allOf: [" * 200 + "]}" * 200 + "}", ""),
        (" " * (2 << 20), "larger than 1048576 bytes"),
        (MANIFEST + "config_schema: {a: {default: 2024-13-45}}", ""),
        (MANIFEST + "config_schema: {a: {default: 2024-12-01}}", ""),
        (MANIFEST + "config_schema: {a: {default: !!binary gIGC}}", ""),
        (MANIFEST + "config_schema: {a: {default: !!timestamp tea}}", ""),
        (MANIFEST + "config_schema: {a: {default: !!int tea}}", ""),
        (MANIFEST + "config_schema: {a: {default: .nan}}", "JSON cannot hold it"),
        ("version: 2024-13-45", ""),
        ("version: 1.0", ": version: expected a valid string, got 1.0"),
        ("license: no", ": license: expected a valid string, got False"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_yaml_that_is_no_manifest_is_refused_with_its_place(tmp_path, text, message):
    path = tmp_path / "plugin.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    started = time.monotonic()
    with pytest.raises(ManifestError) as caught:
        load_yaml(path)
    assert time.monotonic() - started < 20
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_million_bytes_of_keys_are_read_in_bounded_time(tmp_path):
    path = tmp_path / "plugin.yaml"
    path.write_text("".join(f"key{number}: x\n" for number in range(50_000)))
    started = time.monotonic()
    with pytest.raises(ManifestError, match="there is no such field"):
        load_yaml(path)
    assert time.monotonic() - started < 60


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main([str(tmp_path / "plugin.yaml")]) == 2
    assert "plugin.yaml: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1e-6", "1E6", "-1e+3", "1.5e3", ".5", "1.", "-0.25"])
def test_numbers_are_those_of_yaml_1_2(tmp_path, text):
    path = tmp_path / "plugin.yaml"
    path.write_text(MANIFEST + f"config_schema: {{a: {{type: number, default: {text}}}}}\n")
    assert load_yaml(path).config_schema["a"]["default"] == float(text)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!'\"\n |>?%@#,0.~"), max_size=40) | st.binary(max_size=40))
def test_any_text_is_a_manifest_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp() / "any manifest"  # not above other tests' projects
    folder.mkdir(exist_ok=True)
    path = folder / "plugin.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ManifestError):
        load_yaml(path)


@pytest.mark.parametrize("value", ["x-y", "''", "[1]", "{a: b}", "'-'", "1e999999"])
@pytest.mark.parametrize(
    "tag", ["int", "float", "bool", "timestamp", "binary", "set", "omap", "pairs", "null", "map", "seq", "str"]
)
def test_any_tag_on_any_value_is_read_or_refused(tmp_path, tag, value):
    path = tmp_path / "plugin.yaml"
    path.write_text(MANIFEST + f"config_schema: {{a: {{default: !!{tag} {value}}}}}\n")
    try:
        assert load_yaml(path).name == "tea"
    except ManifestError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - some are right


def test_the_schema_is_printed_without_a_manifest():
    command = [sys.executable, "-m", "proxima_sdk.manifest.compile", "--schema"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["title"] == "Proxima plugin manifest"
