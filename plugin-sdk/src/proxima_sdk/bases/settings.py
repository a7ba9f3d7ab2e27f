"""Values that a caller may give, checked against their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxima.errors import UsageError
from proxima.nearest import did_you_mean


def filled(defaults: Mapping[str, Any], given: Mapping[str, Any], *, of: str, what: str) -> dict[str, Any]:
    """The given values over the defaults.

    Args:
        defaults: Every name there is, with its default; its type is the type that a given value must have, where a
            whole number passes for a float, and ``None`` allows any.
        given: What the caller said.
        of: Who takes them, for errors: ``algorithm vqe``.
        what: What they are called: ``parameter``.

    Raises:
        UsageError: A name is unknown, or a value is of another type.
    """
    for name, value in given.items():
        if name not in defaults:
            hint = did_you_mean(name, defaults) or f"it has {', '.join(defaults) or 'none'}"
            raise UsageError(f"{of} has no {what} called {name!r}", hint=hint)
        default = defaults[name]
        kinds = (int, float) if isinstance(default, float) else type(default)
        right = isinstance(value, kinds) and isinstance(value, bool) == isinstance(default, bool)
        if default is not None and not right:
            raise UsageError(f"{of}: {what} {name}: expected {type(default).__name__}, got {value!r:.60}")
    return {**defaults, **given}
