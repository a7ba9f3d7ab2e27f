"""`ScreenConformance`."""

from __future__ import annotations

import importlib.util
from typing import Any, ClassVar

import pytest

from proxima_sdk.conformance.contribution import ContributionChecks


class ScreenConformance(ContributionChecks):
    """Subclass it in a test module, name your screen, run pytest.

    Attributes:
        screen: A screen's name among the installed plugins, or an instance, class or factory of one.
    """

    kind = "screens"
    screen: ClassVar[Any] = None

    def test_title_and_key(self) -> None:
        """What a menu shows, and what opens it."""
        for name in ("title", "key"):
            if not str(getattr(self.subject, name, "")).strip():
                self.fails(name, expected="text", got=repr(getattr(self.subject, name, None)))

    def test_create(self) -> None:
        """A new Textual screen each time."""
        if importlib.util.find_spec("textual") is None:
            pytest.skip("Textual is not installed")
        from proxima_sdk.testing import session

        first, second = (self.asked("create()", lambda: self.subject.create(session.kernel())) for _ in range(2))
        if "textual.screen.Screen" not in {f"{cls.__module__}.{cls.__qualname__}" for cls in type(first).__mro__}:
            self.fails("create()", expected="a textual.screen.Screen", got=type(first).__name__)
        if first is second:
            self.fails("create(), twice", expected="two screens", got="the same one", cause="the screen is kept")
