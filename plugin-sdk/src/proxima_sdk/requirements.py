"""Which of a plugin's requirements this environment meets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def unmet(requirements: Iterable[Requirement]) -> Iterator[str]:
    """Each requirement that is not met, and what is here in its place; those of an extra that is asked for too."""
    yield from _unmet(requirements, "", set())


def _unmet(requirements: Iterable[Requirement], extra: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    for wanted in requirements:
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError:
            yield f"{wanted} (not installed)"
            continue
        if not wanted.specifier.contains(found.version, prereleases=True):
            yield f"{wanted} ({found.version} is installed)"
        more = [each for each in map(Requirement, found.requires or ()) if "extra" in str(each.marker)]
        for asked in sorted(
            {(canonicalize_name(wanted.name), canonicalize_name(name)) for name in wanted.extras} - seen
        ):
            seen.add(asked)
            yield from _unmet(more, asked[1], seen)
