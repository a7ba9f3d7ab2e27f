"""What a plugin hands over when it offers a service."""

from __future__ import annotations

from typing import Any

from proxima.values import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """A Protocol class that callers ask the kernel for, and the object that fulfils it."""

    contract: type[Any]
    provider: Any
