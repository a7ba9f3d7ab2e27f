"""Prints each colour in itself, on the theme's background."""

from pathlib import Path

from proxima_sdk.testing import open_kernel


def code(colour: str, layer: int) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"\x1b[{layer};2;{red};{green};{blue}m"


with open_kernel(Path(__file__).parents[1]) as kernel:
    theme = kernel.get("themes", "my-plugin")
    for role, colour in theme.colours.items():
        print(f"{code(theme.colours['background'], 48)}{code(colour, 38)} {role:<12} {colour} \x1b[0m")
