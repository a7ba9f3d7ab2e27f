"""What every file and every package of the repository keeps to."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import proxima

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins-core/*/pyproject.toml"))
PACKAGES = [ROOT / "kernel", ROOT / "plugin-sdk", *PLUGINS]
LIBRARIES = {"lret-core", "trajectories"}  # what several plugins share and no plugin itself
GPU_EXTRAS = {"cu13"}  # about a gigabyte, which dev.py leaves out of the lock
# Not among the default packages: these take a C++ compiler, a GPU, PennyLane's weight, or more than one machine.
SEPARATE = {
    *LIBRARIES,
    *("backend-lret-cirq", "backend-lret-pennylane", "backend-lret-unified", "bench-lret"),
    *("backend-cuquantum", "backend-pennylane", "executor-dask"),
}
GITIGNORE = (ROOT / ".gitignore").read_text("utf-8").splitlines()
IGNORED = [".git", *(line.rstrip("/") for line in GITIGNORE if line and not line.startswith("#"))]

# Written apart, so that this file does not hold what it looks for.
# A home of somebody, me, a or user is invented, for tests and examples.
INVENTED = r"(?!(a|me|somebody|user)\b)"
MACHINE_PATH = re.compile(r"(?<![\w.$~{}<>*-])/((work|root|opt/pypi)" + rf"/[\w.-]+|(home|Users)/{INVENTED}\w+)")
REGISTRY = re.compile("|".join((r"\bpypi\." + "org", r"pythonhosted\." + "org", r"\banaconda\." + "org")))
EMOJI = re.compile("[\U0001f000-\U0001faff\u2705\u274c\u2728\u26a0\ufe0f]")


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Every text file that .gitignore does not leave out, with its path from the root."""
    for folder, names, files in os.walk(ROOT):
        names[:] = [name for name in names if not ignored(name)]
        for name in files:
            path = Path(folder, name)
            if not ignored(name) and b"\0" not in (data := path.read_bytes())[:4096]:
                yield str(path.relative_to(ROOT)), data.decode("utf-8")


def ignored(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in IGNORED)


def project(package: Path) -> dict[str, object]:
    table = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    assert isinstance(table, dict)
    return table


def runtime_closure(distribution: str) -> set[str]:
    """The distributions that installing one brings here, itself among them."""
    closure: set[str] = set()
    waiting = [Requirement(distribution)]
    while waiting:
        wanted = waiting.pop()
        extras = wanted.extras or {""}
        key = f"{wanted.name}[{','.join(sorted(extras))}]"
        if key in closure:
            continue
        closure.add(key)
        for text in importlib.metadata.requires(wanted.name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(requirement)
    return {key.partition("[")[0] for key in closure}


def licences(distribution: str) -> list[str]:
    """What a distribution's metadata says of its licence: the SPDX expression, else classifiers, else free text."""
    metadata = importlib.metadata.metadata(distribution)
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    first_line = (metadata.get("License") or "").strip().partition("\n")[0]
    return [metadata["License-Expression"]] if "License-Expression" in metadata else [*classifiers, first_line]


def is_strong_copyleft(licence: str) -> bool:
    return bool(re.search(r"(?<!L)(?<!Lesser )\bA?GPL|GNU (Affero )?General Public", licence))


@pytest.mark.parametrize(
    "pattern", [MACHINE_PATH, REGISTRY, EMOJI], ids=["a machine's path", "a registry's host name", "an emoji"]
)
def test_no_tracked_file_holds(pattern: re.Pattern[str]) -> None:
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()!r}"
        for path, text in tracked_texts()
        for match in pattern.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "sample"),
    [
        (MACHINE_PATH, "see /" + "root/proxima"),
        (MACHINE_PATH, 'open("/' + 'home/erika/x")'),
        (REGISTRY, "https://pypi." + "org/simple"),
        (EMOJI, "done " + chr(0x1F389)),
    ],
    ids=["root", "home", "registry", "emoji"],
)
def test_patterns_find_what_they_are_for(pattern: re.Pattern[str], sample: str) -> None:
    assert pattern.search(sample)


def test_relative_links_between_pages_lead_somewhere() -> None:
    dead = [
        f"{path}: {target}"
        for path, text in tracked_texts()
        if path.endswith(".md")
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
        if not (ROOT / path).parent.joinpath(target).exists()
    ]
    assert dead == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_package_is_complete(package: Path) -> None:
    table = project(package)
    assert table["version"] == proxima.__version__
    assert table["license"] == "Apache-2.0"
    assert table["requires-python"] == ">=3.11"
    assert len((package / "README.md").read_text("utf-8").split()) > 10
    assert list(package.glob("src/*/py.typed")), "typed packages say so with py.typed"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_plugin_has_a_manifest_and_the_entry_point_of_its_name(plugin: Path) -> None:
    groups = project(plugin).get("entry-points", {})
    assert isinstance(groups, dict)
    if plugin.name in {"quantum", *LIBRARIES}:
        assert groups == {}
        assert not (plugin / "plugin.yaml").exists()
        return
    assert (plugin / "plugin.yaml").is_file()
    assert groups["proxima.plugins"] == {plugin.name: f"proxima_{plugin.name.replace('-', '_')}:plugin"}


def test_metapackage_depends_on_the_kernel_and_every_default_plugin() -> None:
    default = {f"proxima-{plugin.name}" for plugin in PLUGINS if plugin.name not in {"quantum", *SEPARATE}}
    assert project(ROOT / "plugins-core" / "quantum")["dependencies"] == sorted(
        {"proxima-kernel", "proxima-plugin-sdk"} | default
    )


def test_lock_pins_every_dependency_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in lock
    pins = re.findall(r"^([a-z0-9][a-z0-9._-]*)==\S+.*\\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\S.*==", lock, re.MULTILINE))
    own = {project(package)["name"] for package in PACKAGES}
    for package in PACKAGES:
        table = project(package)
        dependencies, extras = table.get("dependencies", []), table.get("optional-dependencies", {})
        assert isinstance(dependencies, list)
        assert isinstance(extras, dict)
        kept = [texts for extra, texts in extras.items() if extra not in GPU_EXTRAS]
        wanted = {Requirement(text).name for text in sum(kept, dependencies)} - own
        assert wanted <= set(pins)


@pytest.mark.parametrize("distribution", ["proxima-kernel", "proxima-plugin-sdk", "proxima-plugin-sdk[tools]"])
def test_runtime_dependencies_are_permissive(distribution: str) -> None:
    closure = runtime_closure(distribution)
    assert "pluggy" in closure
    said = {name: licences(name) for name in closure}
    assert [name for name, words in said.items() if not any(words)] == [], "no licence stated"
    assert [name for name, words in said.items() if any(map(is_strong_copyleft, words))] == []


@pytest.mark.parametrize(
    ("licence", "strong"),
    [
        ("AGPL-3.0-or-later", True),
        ("GPL-2.0-only", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("LGPL-2.1", False),
        ("MPL-2.0", False),
        ("Apache-2.0", False),
    ],
)
def test_strong_copyleft_is_recognised(licence: str, strong: bool) -> None:
    assert is_strong_copyleft(licence) is strong
