"""What a plugin hands over when it offers a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Service:
    """A Protocol class that callers ask the kernel for, and the object that fulfils it."""

    contract: type[Any]
    provider: Any
