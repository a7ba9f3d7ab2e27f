"""The conformance kit looks at the colours and their contrast."""

from my_plugin.theme import Night
from proxima_sdk.conformance import ThemeConformance


class TestConformance(ThemeConformance):
    theme = "my-plugin"


def test_every_role_has_a_colour_other_than_the_background() -> None:
    colours = dict(Night.colours)
    background = colours.pop("background")
    assert background not in colours.values()
