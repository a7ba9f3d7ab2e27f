"""What `create_project` makes and what it refuses; that each template's plugin works is tested in tests/."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxima.errors import StorageError, UsageError
from proxima.sandbox.interfaces import INTERFACES
from proxima_sdk import new
from proxima_sdk.cli import COMMANDS
from proxima_sdk.new import LICENCES, TEMPLATES, TYPES, Project, create_project, rendered

HOSTILE = 'O"Brien \\ \'x\' <script>alert(1)</script> """ {{ }} ${HOME} $(id) | `a` # é'


def project(**fields: Any) -> Project:
    return Project(**{"name": "pond", "type": "theme", "author": "Ada Lovelace", **fields})


def files(project: Project) -> dict[str, str]:
    return dict(rendered(project))


def test_every_type_has_a_template_and_every_template_a_type() -> None:
    folders = {path.name for path in TEMPLATES.iterdir() if path.is_dir()}
    assert folders == {"base", "licences", *TYPES}


@pytest.mark.parametrize("kind", TYPES)
def test_a_project_is_complete_and_no_word_is_left(kind: str) -> None:
    made = files(project(name="lily-pond", type=kind))
    wanted = {"LICENSE", "README.md", ".gitignore", ".github/workflows/test.yml", "pyproject.toml", "plugin.yaml"}
    assert wanted | {"src/lily_pond/__init__.py", "src/lily_pond/py.typed", "tests/test_lily_pond.py"} <= set(made)
    assert any(name.startswith("examples/") for name in made)
    for name, text in made.items():
        assert "my_plugin" not in name + text
        assert "my-plugin" not in name + text
        assert "MY_" not in text, name
        assert text.endswith("\n") or not text, name
    assert "`src/lily_pond/`" in made["README.md"]
    manifest = yaml.safe_load(made["plugin.yaml"])
    table = tomllib.loads(made["pyproject.toml"])["project"]
    assert manifest["name"] == table["name"] == "lily-pond"
    assert manifest["description"] == table["description"] == TYPES[kind].summary
    assert set(manifest.get("dependencies", {}).get("python", [])) <= set(table["dependencies"])
    workflow = yaml.safe_load(made[".github/workflows/test.yml"])
    assert "${{ matrix.python }}" in json.dumps(workflow)


@pytest.mark.parametrize("kind", TYPES)
def test_the_readme_asks_for_trust_where_the_plugin_cannot_do_without(kind: str) -> None:
    made = files(project(name="lily-pond", type=kind))
    kinds = yaml.safe_load(made["plugin.yaml"])["entry_points"].keys()
    lines = [line for line in made["README.md"].splitlines() if line.startswith("proxima plugin install .")]
    assert ["--trust" in line for line in lines] == [not kinds <= INTERFACES.keys()]


def test_what_the_author_says_stays_text() -> None:
    made = files(project(author=HOSTILE, description=HOSTILE, email="o'brien@example.org"))
    manifest = yaml.safe_load(made["plugin.yaml"])
    table = tomllib.loads(made["pyproject.toml"])["project"]
    assert manifest["author"] == manifest["description"] == table["description"] == HOSTILE
    assert table["authors"] == [{"name": HOSTILE, "email": "o'brien@example.org"}]
    assert HOSTILE in made["LICENSE"]
    assert "<script>" not in made["README.md"]
    source = made["src/pond/__init__.py"]
    assert compile(source, "pond", "exec").co_consts[0] == HOSTILE


@pytest.mark.parametrize("licence", LICENCES)
def test_licence(licence: str) -> None:
    made = files(project(licence=licence))
    assert tomllib.loads(made["pyproject.toml"])["project"]["license"] == licence
    assert licence == "Apache-2.0" or "Ada Lovelace" in made["LICENSE"]


def test_the_apache_licence_is_this_projects_own_text() -> None:
    ours = Path(__file__).parents[2] / "LICENSE"
    assert (TEMPLATES / "licences" / "Apache-2.0").read_bytes() == ours.read_bytes()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Pond", "lower-case"),
        ("1pond", "a letter first"),
        ("pond_lily", "hyphens"),
        ("pond--lily", "hyphens"),
        ("../pond", "hyphens"),
        ("pond\n", "one line"),
        ("p" * 65, "64"),
        ("", "hyphens"),
        ("class", "Python's own"),
        ("match", "Python's own"),
        ("json", "would hide"),
        ("numpy", "would hide"),
        ("proxima", "would hide"),
        ("tests", "would hide"),
        ("pytest", "installed"),
        ("proxima-kernel", "installed"),
        ("backend-qsim", "Proxima's own"),
        ("heron", "is installed"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        create_project(project(name=name, taken={"heron": "a plugin of that name is installed"}), tmp_path, git=False)
    assert why in f"{error.value} {error.value.hint}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"author": " "}, "author"),
        ({"author": "a\nb"}, "author"),
        ({"author": "a\u2028b"}, "author"),
        ({"description": "x" * 501}, "description"),
        ({"email": "nobody"}, "email"),
        ({"licence": "WTFPL"}, "licence"),
        ({"type": "engine"}, "type"),
    ],
)
def test_texts_that_cannot_be(tmp_path: Path, fields: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        create_project(project(**fields), tmp_path, git=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["directory", "file", "link"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    target = tmp_path / "pond"
    if there == "directory":
        target.mkdir()
    elif there == "file":
        target.write_text("mine")
    else:
        target.symlink_to("nowhere")
    with pytest.raises(UsageError, match="exists"):
        create_project(project(), tmp_path, git=False)
    assert [path.name for path in tmp_path.iterdir()] == ["pond"]


@pytest.mark.parametrize("step", ["rendered", "compile_manifest", "_git", "os.rename"])
def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"proxima_sdk.new.{step}", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create_project(project(), tmp_path, git=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is on Linux only")
def test_a_directory_that_cannot_be_written() -> None:
    with pytest.raises(StorageError, match="cannot make /proc/pond"):
        create_project(project(), Path("/proc"), git=False)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_repository_is_made_but_not_within_another(tmp_path: Path) -> None:
    made = create_project(project(), tmp_path)
    assert (made / ".git" / "HEAD").read_text().strip() == "ref: refs/heads/main"
    inner = create_project(project(name="frog"), made)
    assert not (inner / ".git").exists()
    assert (create_project(project(name="newt"), made, git=True) / ".git").is_dir()
    assert not (create_project(project(name="toad"), tmp_path, git=False) / ".git").exists()


def test_the_command(tmp_path: Path) -> None:
    words = [
        "new",
        "pond",
        "--type",
        "tool",
        "--author",
        "Ada Lovelace",
        "--output",
        str(tmp_path),
        "--no-git",
        "--json",
    ]
    done = proxima(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["directory"] == str(tmp_path / "pond")
    assert "src/pond/proxima-plugin.json" in told["files"]
    assert yaml.safe_load((tmp_path / "pond" / "plugin.yaml").read_text())["email"] == ""
    assert proxima(tmp_path, *words).returncode == 2
    refused = proxima(tmp_path, "new", "run", "--type", "command", "--output", str(tmp_path))
    assert refused.returncode == 2
    assert "execution" in refused.stderr
    assert "\n  visualization " in proxima(tmp_path, "new", "--help").stdout


def proxima(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PROXIMA_HOME": str(home / "home"), "COLUMNS": "120"}
    command = [sys.executable, "-m", "proxima", "plugin", *words]
    return subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_kernel_knows_every_command_of_the_sdk() -> None:
    from proxima.cli.sdk import NAMES

    assert sorted(COMMANDS) == list(NAMES)
    assert all((Path(new.__file__).parent / "cli" / f"{name}.py").is_file() for name in NAMES)
