"""The rules that a wheel must meet to be taken in; each yields what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

import proxima
from proxima.errors import ManifestError, UsageError
from proxima.plugins.compatibility import unfit
from proxima.sandbox.imports import HOST_PACKAGES
from proxima.store.problems import Problem, WheelError
from proxima.store.wheel import LEFT_OUT_SCHEMES, UNPACKED_SCHEMES, WheelFile

if TYPE_CHECKING:
    from proxima.plugins.manifest import Manifest

_WHEEL_VERSION = "1"
_METADATA_VERSIONS = ("1", "2")
_OTHER_RELEASE = "upgrade Proxima, or take a release of the plugin made for this one"
_STARTED_BY_PYTHON = ("sitecustomize", "usercustomize")


def judge(wheel: WheelFile) -> Iterator[Problem]:
    """Everything that is wrong with a wheel but for its files' contents."""
    for rule in _RULES:
        yield from rule(wheel)


def _identity(wheel: WheelFile) -> Iterator[Problem]:
    """The file's name, the metadata directory's name and METADATA tell of one distribution."""
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    named, _, versioned = wheel.info.removesuffix(".dist-info").partition("-")
    where = f"{wheel.info}/METADATA"
    for name, version, place in (
        (named, versioned, wheel.info),
        (str(wheel.metadata["Name"]), str(wheel.metadata["Version"]), where),
    ):
        try:
            same = canonicalize_name(name) == wheel.name and Version(version) == Version(wheel.version)
        except InvalidVersion:
            same = False
        if not same:
            message = f"says {name} {version}, the file's name {wheel.name} {wheel.version}"
            yield Problem("identity", message, place, hint="a wheel that was renamed: get it where it is published")
    for header, headers, known, place in (
        ("Wheel-Version", wheel.wheel, (_WHEEL_VERSION,), f"{wheel.info}/WHEEL"),
        ("Metadata-Version", wheel.metadata, _METADATA_VERSIONS, where),
    ):
        version = str(headers[header])
        if version.partition(".")[0] not in known:
            yield Problem("format", f"{header} {version} is not known here", place, hint=_OTHER_RELEASE)


def _host(wheel: WheelFile) -> Iterator[Problem]:
    """It is made for this interpreter and platform."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    fitting = _fitting()
    if not wheel.tags.intersection(fitting):
        message = f"is made for {', '.join(sorted(wheel.tags))}; this host takes {fitting[0]} to py3-none-any"
        yield Problem("tag", message, hint="take the wheel for this platform and Python")
    wanted, here = wheel.metadata["Requires-Python"], ".".join(map(str, sys.version_info[:3]))
    if wanted is not None:
        where = f"{wheel.info}/METADATA"
        try:
            fits = SpecifierSet(str(wanted)).contains(here, prereleases=True)
        except InvalidSpecifier:
            yield Problem("python", f"Requires-Python {wanted!r} is not a version range", where)
        else:
            if not fits:
                yield Problem("python", f"needs Python {wanted}; this is {here}", where)


@cache
def _fitting() -> list[str]:
    """The tags of wheels that this interpreter takes, the best first."""
    from packaging.tags import sys_tags

    return [str(tag) for tag in sys_tags()]


def _record(wheel: WheelFile) -> Iterator[Problem]:
    """RECORD lists every file with its hash, and no other."""
    hint = "files were added or taken away after the wheel was made: build it anew"
    for name in wheel.archive.files:
        recorded = wheel.record.get(name)
        if not wheel.is_unrecorded(name) and (recorded is None or not recorded.sha256):
            yield Problem("record", "has no hash in RECORD", name, hint=hint)
    for name in wheel.record:
        if name not in wheel.archive.files and not wheel.is_unrecorded(name):
            yield Problem("record", "is listed in RECORD and not in the wheel", repr(name)[1:-1], hint=hint)


def _places(wheel: WheelFile) -> Iterator[Problem]:
    """What would be put outside the import root, or run by Python itself, is refused or left out."""
    data = wheel.info.removesuffix(".dist-info") + ".data"
    left_out: dict[str, int] = {}
    taken: dict[str, str] = {}
    for name in wheel.archive.files:
        top, _, rest = name.partition("/")
        scheme = rest.partition("/")[0]
        place = wheel.place_of(name)
        if top.endswith(".data") and (top != data or scheme not in (*UNPACKED_SCHEMES, *LEFT_OUT_SCHEMES)):
            yield Problem("data", "is in no place that wheels have", name)
        elif top.endswith(".data") and scheme in LEFT_OUT_SCHEMES:
            left_out[scheme] = left_out.get(scheme, 0) + 1
        elif place is None and wheel.is_plugin:
            hint = "a .pth file runs code at every start of Python; leave it out of the wheel"
            yield Problem("pth", "plugins have no .pth files", name, hint=hint)
        elif place is None:
            yield Problem("left-out", "is left out: .pth files are not used", name, "note")
        elif taken.setdefault(place.casefold(), name) != name:
            yield Problem("duplicate", f"would be unpacked to the same place as {taken[place.casefold()]}", name)
    for scheme, count in left_out.items():
        yield Problem("left-out", f"{count} files of {scheme} are left out: a plugin is imported only", data, "note")


def _top_level(wheel: WheelFile) -> Iterator[Problem]:
    """Nothing goes before the standard library or what the host lends to plugins."""
    own = {"numpy"} if wheel.name == "numpy" else set()
    hidden = (set(HOST_PACKAGES) - own) | sys.stdlib_module_names | set(_STARTED_BY_PYTHON)
    for name in sorted(set(top_level_names(wheel)) & hidden):
        whose = "Python runs by itself" if name in _STARTED_BY_PYTHON else "Proxima or Python has already"
        yield Problem("shadows", f"is a module that {whose}", name, hint="give the package a name of its own")


def top_level_names(wheel: WheelFile) -> Iterator[str]:
    """The names that can be imported once it is unpacked, some more than once."""
    for name in wheel.archive.files:
        place = wheel.place_of(name)
        if place is not None:
            top, slash, _ = place.partition("/")
            module = top if slash else top.partition(".")[0]
            if (slash or top.endswith((".py", ".pyc", ".so", ".pyd"))) and module.isidentifier():
                yield module


def _requirements(wheel: WheelFile) -> Iterator[Problem]:
    """It does not depend on itself, nor on a kernel that this is not."""
    where = f"{wheel.info}/METADATA"
    try:
        needed = wheel.requires
    except WheelError as error:
        yield from error.problems
        return
    from packaging.utils import canonicalize_name

    for requirement in needed:
        name = canonicalize_name(requirement.name)
        for_extra = requirement.marker is not None and "extra" in str(requirement.marker)
        if name == wheel.name and not for_extra:
            yield Problem("self", f"depends on itself ({requirement})", where, hint="remove it from the dependencies")
        if requirement.url is not None:
            yield Problem("requirement", f"{requirement} is fetched from an address, not an index", where)
        fits = requirement.specifier.contains(proxima.__version__, prereleases=True)
        if name == "proxima-kernel" and not for_extra and not fits:
            message = f"needs {requirement}; this is {proxima.__version__}"
            yield Problem("kernel", message, where, hint=_OTHER_RELEASE)


def _plugin(wheel: WheelFile) -> Iterator[Problem]:
    """A plugin's manifest is there, can be read and is of this distribution."""
    if not wheel.is_plugin:
        return
    if len(wheel.entry_points) > 1:
        names = ", ".join(name for name, _ in wheel.entry_points)
        yield Problem(
            "entry-point", f"holds several plugins ({names}); one is expected", f"{wheel.info}/entry_points.txt"
        )
        return
    try:
        manifest = wheel.manifest
        assert manifest is not None
    except ManifestError as error:
        with suppress(ManifestError):  # what was written for a later kernel may well look wrong to this one
            fits = wheel.raw_manifest.get("fits") if isinstance(wheel.raw_manifest, dict) else None
            if isinstance(fits, str) and (reason := unfit(fits)):
                yield Problem("kernel", reason, wheel.manifest_entry, hint=_OTHER_RELEASE)
                return
        yield Problem("manifest", error.message.removeprefix(f"{wheel.path}: "), hint=error.hint or "")
        return
    yield from _manifest(wheel, manifest)


def _manifest(wheel: WheelFile, manifest: Manifest) -> Iterator[Problem]:
    from packaging.version import InvalidVersion, Version

    from proxima.permissions.grammar import Permission

    where, ((plugin, target),) = wheel.manifest_entry, wheel.entry_points
    if manifest.id != plugin:
        yield Problem("manifest", f"name is {manifest.id!r}, the entry point's {plugin!r}", where)
    try:
        same = Version(manifest.version) == Version(wheel.version)
    except InvalidVersion:
        same = False
    if not same:
        message = f"version is {manifest.version}, the wheel's {wheel.version}"
        yield Problem("manifest", message, where, hint="build again: `proxima plugin build` compiles plugin.yaml first")
    if not f"{manifest.fits}{target}".isprintable():  # they become lines of the plugin's pointer
        yield Problem("manifest", "fits or the entry point has characters that cannot be shown", where)
    elif reason := unfit(manifest.fits):
        yield Problem("kernel", reason, where, hint=_OTHER_RELEASE)
    for text in manifest.permissions:
        try:
            Permission.parse(text)
        except UsageError as error:
            yield Problem("permission", error.message, where, hint=error.hint or "")
    own = set(top_level_names(wheel))
    for what, path in (
        ("the entry point", target),
        *((f"{c.kind}: {c.name}", c.target) for c in manifest.contributions),
    ):
        package = path.partition(":")[0].partition(".")[0]
        if package not in own and package != "proxima":  # themes are objects of the kernel's own class
            yield Problem("manifest", f"{what} is in the package {package}, which the wheel does not hold", where)


_RULES: tuple[Callable[[WheelFile], Iterator[Problem]], ...] = (
    _identity,
    _host,
    _record,
    _places,
    _top_level,
    _requirements,
    _plugin,
)
