"""`ThemeConformance`."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from proxima.contracts.theme import Theme
from proxima_sdk.conformance.contribution import ContributionChecks

_NEEDED = ("background", "foreground", "primary")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_READABLE = 4.5


class ThemeConformance(ContributionChecks):
    """Subclass it in a test module, name your theme, run pytest.

    Attributes:
        theme: A theme's name among the installed plugins, or a theme, its class or a factory of one.
    """

    kind = "themes"
    theme: ClassVar[Any] = None

    def test_colours(self) -> None:
        """``#rrggbb`` for each role, and the roles that every screen needs."""
        colours = self.subject.colours
        for role, colour in colours.items():
            if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
                self.fails(f"the colour of {role!r}", expected="#rrggbb", got=repr(colour))
        for role in _NEEDED:
            if role not in colours:
                self.fails("its colours", expected=f"a colour for {role!r}", got=sorted(colours))

    def test_is_data(self) -> None:
        """It says all by its fields, and can leave a worker."""
        theme = self.subject
        self.crosses("the theme", Theme(theme.name, theme.dark, theme.colours), Theme)

    def test_text_is_readable(self) -> None:
        """Contrast of at least 4.5 between foreground and background (WCAG 2.2, 1.4.3)."""
        dark, light = sorted(_luminance(self.subject.colours[role]) for role in ("background", "foreground"))
        contrast = (light + 0.05) / (dark + 0.05)
        if contrast < _READABLE:
            self.fails(
                "foreground on background",
                expected=f"a contrast of at least {_READABLE:g} (WCAG 2.2, 1.4.3)",
                got=f"{contrast:.2f}",
            )

    def test_dark_is_said_rightly(self) -> None:
        """A dark theme's background is darker than its text."""
        background, foreground = (_luminance(self.subject.colours[role]) for role in ("background", "foreground"))
        if self.subject.dark != (background < foreground):
            self.fails(
                "dark",
                expected=background < foreground,
                got=self.subject.dark,
                convention="dark: light text on a dark ground",
            )


def _luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
