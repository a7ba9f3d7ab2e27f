"""A colour theme; it is data."""

from proxima_sdk import Theme


class Night(Theme):
    """Foreground on background has a contrast of 13 to 1 (WCAG 2.2 asks for 4.5)."""

    name = "my-plugin"
    dark = True
    colours = {
        "background": "#101828",
        "surface": "#1c2740",
        "foreground": "#e6eaf2",
        "primary": "#6cb6ff",
        "accent": "#f2b84b",
        "success": "#7ddc8b",
        "warning": "#f2b84b",
        "error": "#ff8080",
    }
