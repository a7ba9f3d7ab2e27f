"""What lies in a wheel: how much, what does not belong, and which names it takes from others."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import packages_distributions

from packaging.utils import canonicalize_name

from proxima.store.border import top_level_names
from proxima.store.problems import Problem
from proxima.store.wheel import WheelFile

LARGE_BYTES, TOO_LARGE_BYTES = 50 << 20, 500 << 20

# fmt: off
GENERIC = {
    "benchmarks", "build", "dist", "doc", "docs", "example", "examples", "lib", "scripts", "src", "test", "tests",
    "tools", "util", "utils",
}
# fmt: on
_STRAY = ("__pycache__", ".git", ".github", ".DS_Store", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".venv")


def judge_contents(wheel: WheelFile, size: int) -> Iterator[Problem]:
    """Sizes, stray files and top-level names.

    Args:
        wheel: The wheel.
        size: Of its file, in bytes.
    """
    if size > LARGE_BYTES:
        large = size > TOO_LARGE_BYTES
        message = f"is {size / (1 << 20):.0f} MiB; {TOO_LARGE_BYTES >> 20} MiB is the most"
        hint = "leave out data that can be fetched or made when it is first needed"
        yield Problem("size", message, level="error" if large else "warning", hint=hint)
    for name in wheel.archive.files:
        if set(name.split("/")) & set(_STRAY) or name.endswith(".pyc"):
            yield Problem("stray", "does not belong in a wheel", name, "warning", "exclude it in the build settings")
    if not any(map(_is_changelog, wheel.archive.files)):
        message = "no CHANGELOG.md lies in the plugin's package, so an update cannot show what has changed"
        yield Problem("changelog", message, level="note")
    known = packages_distributions()
    for name in sorted(set(top_level_names(wheel))):
        others = {canonicalize_name(other) for other in known.get(name, ())} - {wheel.name}
        if name in GENERIC:
            message = "is a name that any package could take; one of two hides the other"
            yield Problem("shadows", message, name, hint="put it into the plugin's own package, or leave it out")
        elif others:
            yield Problem("shadows", f"is also a package of {', '.join(sorted(others))}", name, "warning")
    native = sum(name.endswith((".so", ".pyd", ".dylib", ".dll")) for name in wheel.archive.files)
    if native:
        yield Problem("native", f"{native} files of native code were not read", level="note")


def _is_changelog(name: str) -> bool:
    """Whether the store takes a file for the plugin's changelog."""
    top, *rest = name.split("/")
    most = 2 if top.endswith(".dist-info") else 1
    return 1 <= len(rest) <= most and rest[-1].startswith("CHANGELOG")
