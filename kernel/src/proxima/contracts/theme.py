"""What a plugin says of a colour theme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by role (``background``, ``foreground``, ``primary``, ``accent``, ``error`` ...) as ``#rrggbb``."""

    name: str
    dark: bool
    colours: Mapping[str, str]
