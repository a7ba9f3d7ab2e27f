"""`create_project`: a plugin that works, from the templates.

A project is `templates/base` and the type's own part: a file that both have is the base's, followed by the type's.
In all of them `my-plugin`, `my_plugin` and the words that begin with `MY_` are replaced; they are what their endings
say before that too, so that they can be read and checked where they lie.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import keyword
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from proxima.errors import StorageError, UnavailableError, UsageError
from proxima.plugins.first_party import IDS
from proxima.sandbox.imports import HOST_PACKAGES
from proxima_sdk.manifest.compile import compile_manifest
from proxima_sdk.markdown import plain
from proxima_sdk.validate.contents import GENERIC

TEMPLATES = Path(__file__).parent / "templates"
LICENCES = sorted(file.name for file in (TEMPLATES / "licences").iterdir())

_TOOLS, _BACKENDS = "proxima-plugin-sdk[tools]", "proxima-quantum"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_WORD = re.compile(r'my[-_]plugin|"MY_TOML_[A-Z]+"|\bMY_[A-Z]+\b')
_MOST = {"name": 64, "author": 200, "email": 200, "description": 500}


@dataclass(frozen=True, slots=True)
class ProjectType:
    """What can be made.

    Attributes:
        summary: What the example does; the project's description where the author gives none.
        development: What its tests need beside what it depends on.
    """

    summary: str
    development: tuple[str, ...] = (_TOOLS,)


TYPES: Mapping[str, ProjectType] = {
    "agent": ProjectType("Says how many qubits a simulation of a given memory holds"),
    "algorithm": ProjectType("Finds the angles that make an observable least", (_TOOLS, _BACKENDS)),
    "backend": ProjectType("A statevector simulator in numpy", (_TOOLS, _BACKENDS)),
    "codegen": ProjectType("Writes circuits as Python for Cirq", (_TOOLS, "cirq-core>=1.4")),
    "command": ProjectType("Runs a circuit several times and says how much its counts vary", (_TOOLS, _BACKENDS)),
    "format": ProjectType("Reads and writes circuits as JSON"),
    "llm-provider": ProjectType("Talks to language models behind an OpenAI-compatible address"),
    "mcp-server": ProjectType("Compares the counts of two runs, over the Model Context Protocol"),
    "screen": ProjectType("Shows the installed backends in a table", (_TOOLS, "textual>=1.0")),
    "service": ProjectType("Says how long a circuit takes on hardware"),
    "theme": ProjectType("Light text on deep blue"),
    "tool": ProjectType("Counts the gates of a circuit", (_TOOLS, _BACKENDS)),
    "view": ProjectType("Compares the backends on one circuit", (_TOOLS, _BACKENDS)),
    "visualization": ProjectType("Draws counts as a histogram"),
}
"""By the name of their directory in `TEMPLATES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What the author said.

    Attributes:
        name: The plugin's id, and its distribution's name; the package has underscores in place of hyphens.
        type: One of `TYPES`.
        licence: One of `LICENCES`.
    """

    name: str
    type: str
    author: str
    email: str = ""
    description: str = ""
    licence: str = "MIT"
    taken: Mapping[str, str] = field(default_factory=dict)
    """Names that an installed plugin or command has, to who has it."""

    @property
    def package(self) -> str:
        """What is imported."""
        return self.name.replace("-", "_")

    def check(self) -> None:
        """Raises `UsageError` where something of it cannot be."""
        if self.type not in TYPES:
            raise UsageError(f"there is no plugin type {self.type!r}", hint=f"one of {', '.join(TYPES)}")
        if self.licence not in LICENCES:
            hint = f"one of {', '.join(LICENCES)}; another can be put in place afterwards"
            raise UsageError(f"there is no template of the licence {self.licence!r}", hint=hint)
        for what, most in _MOST.items():
            text = getattr(self, what)
            if not text.isprintable() or len(text) > most:
                raise UsageError(f"{what}: expected one line of at most {most} characters, got {text!r:.60}")
        if not self.author.strip():
            raise UsageError("a licence needs an author", hint='say who: --author "Ada Lovelace"')
        if self.email and not re.fullmatch(r"[^@\s]+@[^@\s]+", self.email):
            raise UsageError(f"email: expected an address such as ada@example.org, got {self.email!r}")
        self._check_name()

    def _check_name(self) -> None:
        name, package = self.name, self.package
        if not _NAME.fullmatch(name):
            hint = "lower-case letters and digits, in words joined by hyphens, a letter first: my-plugin"
            raise UsageError(f"a plugin cannot be called {name!r}", hint=hint)
        why = self.taken.get(name, "")
        if keyword.iskeyword(package) or keyword.issoftkeyword(package):
            why = "it is a word of Python's own"
        elif package in sys.stdlib_module_names or package in HOST_PACKAGES or package in GENERIC:
            why = f"the package {package} would hide another of that name"
        elif name in IDS:
            why = "it is the name of a plugin of Proxima's own"
        elif (spec := importlib.util.find_spec(package)) is not None and spec.origin is not None:
            why = f"a package {package} is installed, which one of two would hide"
        elif _installed(name):
            why = "a distribution of that name is installed"
        if why:
            raise UsageError(f"a plugin cannot be called {name}: {why}", hint="choose another name")


def create_project(project: Project, output: Path, *, git: bool | None = None) -> Path:
    """Makes the directory ``output/NAME``, whole or not at all.

    Args:
        project: What to make.
        output: An existing directory.
        git: Whether the project becomes a git repository; ``None``: where git is installed, and the directory is not
            in a repository already.

    Raises:
        UsageError: A name or text cannot be, or the directory exists.
        UnavailableError: A repository was asked for and git is not installed.
        StorageError: It cannot be written.
    """
    project.check()
    target = output / project.name
    if not output.is_dir():
        raise UsageError(f"{output} is no directory", hint="make it first")
    if os.path.lexists(target):
        raise UsageError(f"{target} exists", hint="choose another name, or another --output; nothing is overwritten")
    if git and shutil.which("git") is None:
        raise UnavailableError("git is not installed", hint="leave it out: --no-git")
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{project.name}-", dir=output))
        temporary.chmod(0o755)
        for name, text in rendered(project):
            file = temporary / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8", newline="\n")
        manifest, text = compile_manifest(temporary / "plugin.yaml")
        manifest.write_text(text, "utf-8", newline="\n")
        if git or (git is None and shutil.which("git") and not _git(output, "rev-parse", "--is-inside-work-tree")):
            _git(temporary, "init", "--quiet", "--initial-branch=main", needed=True)
        os.rename(temporary, target)
    except OSError as error:
        raise StorageError(f"cannot make {target}: {error.strerror}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def rendered(project: Project) -> Iterator[tuple[str, str]]:
    """Each file's path, and what it holds."""
    layers = [TEMPLATES / "base", TEMPLATES / project.type]
    parts: dict[str, list[Path]] = {"LICENSE": [TEMPLATES / "licences" / project.licence]}
    for layer in layers:
        for file in sorted(layer.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                parts.setdefault(file.relative_to(layer).as_posix(), []).append(file)
    words = _words(project)
    for name, files in parts.items():
        path = _filled(name, words, "").replace("dot-", ".", 1)
        yield path, _filled("".join(file.read_text("utf-8") for file in files), words, Path(path).suffix)


def _words(project: Project) -> dict[str, str]:
    manifest = yaml.safe_load((TEMPLATES / project.type / "plugin.yaml").read_text("utf-8"))
    needs = [*manifest.get("dependencies", {}).get("python", ()), "proxima-kernel", "proxima-plugin-sdk"]
    email = f", email = {_quoted(project.email)}" if project.email else ""
    return {
        "my-plugin": project.name,
        "my_plugin": project.package,
        "MY_TITLE": project.name.replace("-", " ").capitalize(),
        "MY_DESCRIPTION": project.description or TYPES[project.type].summary,
        "MY_AUTHOR": project.author,
        "MY_EMAIL": project.email,
        "MY_LICENCE": project.licence,
        "MY_YEAR": str(datetime.now(UTC).year),
        "MY_TOML_AUTHOR": f"{{ name = {_quoted(project.author)}{email} }}",
        "MY_TOML_DEPENDENCIES": ", ".join(map(_quoted, needs)),
        "MY_TOML_DEVELOPMENT": ", ".join(map(_quoted, TYPES[project.type].development)),
    }


def _filled(text: str, words: Mapping[str, str], suffix: str) -> str:
    """The text with each word replaced, so that its value stays what it is in a file of this kind."""

    def value(match: re.Match[str]) -> str:
        word = match[0].strip('"')
        if suffix == ".md" and word.startswith("MY_"):  # the name's letters mean nothing in Markdown
            return plain(words[word])
        quoted = suffix in (".toml", ".yaml", ".py") and not word.startswith("MY_TOML_")
        return _quoted(words[word])[1:-1] if quoted else words[word]

    return _WORD.sub(value, text)


def _quoted(text: str) -> str:
    """A string that JSON, TOML, YAML and Python read alike: nothing in it is unprintable."""
    return json.dumps(text, ensure_ascii=False)


def author_of_git(directory: Path) -> tuple[str, str]:
    """Name and address that git knows its user by; empty where it does not."""
    if shutil.which("git") is None:
        return "", ""
    return _git(directory, "config", "user.name"), _git(directory, "config", "user.email")


def _git(directory: Path, *words: str, needed: bool = False) -> str:
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key == "GIT_CONFIG_GLOBAL"
    }
    done = subprocess.run(
        ["git", *words],
        cwd=directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if needed and done.returncode:
        raise UnavailableError(f"git {words[0]} failed: {done.stderr.strip()}", hint="leave it out: --no-git")
    return done.stdout.strip() if not done.returncode else ""


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
