"""`Theme`."""

from __future__ import annotations

from proxima.contracts import theme as contract


class Theme(contract.Theme):
    """A colour theme; a subclass says all of it.

    Attributes:
        name: As the manifest has it.
        dark: Whether light text stands on a dark ground.
        colours: ``#rrggbb`` by role: ``background``, ``foreground``, ``primary``, ``accent``, ``error`` ...

    >>> class Paper(Theme):
    ...     name = "paper"
    ...     dark = False
    ...     colours = {"background": "#ffffff", "foreground": "#202020", "primary": "#1f4e79"}
    """

    def __init__(self) -> None:
        """Sets nothing: the class's attributes are the fields."""
