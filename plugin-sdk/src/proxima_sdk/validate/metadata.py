"""Licence, version ranges and dependencies: stated, alike wherever they are stated, and such as can be meant."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from proxima.plugins.compatibility import KERNEL_API
from proxima.plugins.manifest import Manifest
from proxima.store.problems import Problem
from proxima.store.wheel import WheelFile

_PYTHONS = [f"3.{minor}" for minor in range(8, 31)]
_LICENCE_FILES = ("licen", "copying", "notice")


def judge_licence(wheel: WheelFile, manifest: Manifest) -> Iterator[Problem]:
    """An SPDX expression in both places, and the text beside it."""
    where = f"{wheel.info}/METADATA"
    hint = 'write an SPDX expression such as "MIT" or "Apache-2.0" under project.license in pyproject.toml'
    declared = _spdx(str(manifest.raw.get("license", "")))
    if declared is None:
        message = f"license: {manifest.raw.get('license')!r} is not an SPDX expression"
        yield Problem("licence", message, wheel.manifest_entry, hint='write one such as "MIT" in plugin.yaml')
    expression, free = wheel.metadata["License-Expression"], str(wheel.metadata["License"] or "").strip()
    classified = [c for c in wheel.metadata.get_all("Classifier") or [] if str(c).startswith("License ::")]
    if expression is not None:
        said = _spdx(str(expression))
        if said is None:
            yield Problem("licence", f"License-Expression: {expression!r} is not an SPDX expression", where, hint=hint)
        elif declared is not None and said != declared:
            yield Problem("licence", f"is {said}, and in plugin.yaml {declared}", where, hint="say the same in both")
    elif free or classified:
        yield Problem("licence", "there is no License-Expression", where, "warning", hint)
    else:
        yield Problem("licence", "no licence is stated", where, hint=hint)
    names = [name.rpartition("/")[2].lower() for name in wheel.archive.files if name.startswith(f"{wheel.info}/")]
    if not any(name.startswith(_LICENCE_FILES) for name in names):
        hint = 'put LICENSE beside pyproject.toml and name it there: license-files = ["LICENSE"]'
        yield Problem("licence-file", "the licence's text is not in the wheel", wheel.info, "warning", hint)


def judge_ranges(wheel: WheelFile, manifest: Manifest) -> Iterator[Problem]:
    """Python and kernel versions that can be meant."""
    where, required = f"{wheel.info}/METADATA", wheel.metadata["Requires-Python"]
    hint = 'write requires-python = ">=3.11" in pyproject.toml'
    if required is None:
        yield Problem("range", "Requires-Python is missing", where, hint=hint)
    else:
        specifiers = SpecifierSet(str(required))  # the store's rules have read it before
        if specifiers.contains("3.0") or specifiers.contains("2.7"):
            yield Problem("range", f"Requires-Python {required} has no lower bound", where, "warning", hint)
        declared = str(manifest.raw.get("python_version") or "")
        if declared:
            both = [(version in specifiers, version in SpecifierSet(declared), version) for version in _PYTHONS]
            other = next((version for one, another, version in both if one != another), None)
            if other is not None:
                message = f"python_version {declared} and Requires-Python {required} differ, for {other} to begin with"
                yield Problem("range", message, wheel.manifest_entry, "warning", "say the same in both")
    highest = int(str(manifest.raw.get("kernel_api") or KERNEL_API).rpartition("-")[2])
    if highest > KERNEL_API:
        message = f"kernel_api reaches to {highest}; the newest is {KERNEL_API}, so nobody can have tried it"
        yield Problem("range", message, wheel.manifest_entry, "warning")


def judge_dependencies(wheel: WheelFile, manifest: Manifest) -> Iterator[Problem]:
    """The manifest, which people read, and METADATA, which installers read, name the same requirements."""
    table = manifest.raw.get("dependencies") or {}
    declared = {_name(text): text for text in table.get("python", [])}
    required = {
        canonicalize_name(r.name): str(r) for r in wheel.requires if not (r.marker and "extra" in str(r.marker))
    }
    host = {name for name in required if name in ("proxima-kernel", "proxima-plugin-sdk")}
    for name in sorted(declared.keys() - required.keys()):
        message = f"{declared[name]} stands in plugin.yaml and not in pyproject.toml, so it is never installed"
        yield Problem("dependency", message, f"{wheel.info}/METADATA", hint="add it to project.dependencies")
    for name in sorted(required.keys() - declared.keys() - host):
        message = f"{required[name]} stands in pyproject.toml and not in plugin.yaml"
        yield Problem("dependency", message, wheel.manifest_entry, "warning", "add it to dependencies.python")
    if "proxima-kernel" not in host:
        message = "does not depend on proxima-kernel, so that pip installs it without what it runs on"
        yield Problem("dependency", message, f"{wheel.info}/METADATA", "warning", "add it to project.dependencies")


def _name(text: str) -> str:
    return canonicalize_name(Requirement(text).name)


def _spdx(text: str) -> str | None:
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None
