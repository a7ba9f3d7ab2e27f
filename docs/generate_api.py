"""The page of the SDK's classes, from their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import proxima_sdk
from proxima.plugins.manifest import KINDS
from proxima_sdk import conformance, testing
from proxima_sdk.docs.docstring import docstring_as_markdown, inline

_CHECK = "test_"

INTRODUCTION = """\
# Plugin API reference

What `proxima_sdk` gives to those who write plugins: a base class per contribution kind, `Plugin`, a kernel for tests
and a conformance kit per kind. [Hooks](hooks.md) says what the kernel asks of a plugin, [the manifest](manifest.md)
what `plugin.yaml` may hold. A class of your own derives from the base class of its kind, `plugin.yaml` names it, and
nothing else is needed:

```python
from proxima.contracts.tool import ToolResult
from proxima_sdk import Tool


class Shout(Tool):
    \"\"\"Says a text in capital letters.\"\"\"

    name = "shout"
    parameters = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

    def call(self, arguments):
        return ToolResult(arguments["text"].upper())
```

`proxima plugin test PATH` runs a plugin's own tests and the kit of each of its contributions, in-process and in a real
worker; it installs nothing.
"""


def api() -> str:
    """The page."""
    lines = [INTRODUCTION, "## The entry point", "", *_class("Plugin", proxima_sdk.Plugin)]
    lines += ["## Base classes", "", "| kind | class | kit | runs in a worker |", "|---|---|---|---|"]
    for kind in KINDS:
        base, kit = proxima_sdk.BASES[kind], conformance.KITS[kind]
        worker = "yes" if kind in _interfaces() else ""
        lines.append(f"| `{kind}` | [`{base}`](#{base.lower()}) | [`{kit}`](#{kit.lower()}) | {worker} |")
    lines.append("")
    for name in proxima_sdk.BASES.values():
        lines += _class(name, getattr(proxima_sdk, name))
    lines += ["## Testing", "", "A fixture `proxima_kernel` gives the kernel that all tests of a run share.", ""]
    lines += [*_function("open_kernel", testing.open_kernel), *_class("GrantAll", testing.GrantAll)]
    version = conformance.CONFORMANCE_VERSION
    lines += ["## Conformance kits", "", f"Version {version}. A subclass in a test module is all that a kit needs:", ""]
    lines += ["```python", inspect.cleandoc(str(conformance.__doc__)).partition("\n\n")[2], "```", ""]
    for name in conformance.KITS.values():
        lines += _kit(name, getattr(conformance, name))
    text = "\n".join(lines).rstrip() + "\n"
    return text.replace("```python\n\n", "```python\n").replace("\n\n```\n", "\n```\n")


def _interfaces() -> set[str]:
    from proxima.sandbox.interfaces import INTERFACES

    return set(INTERFACES)


def _class(name: str, cls: type[Any]) -> list[str]:
    lines = [f"### `{name}`", "", *_prose(cls)]
    for method_name, method in vars(cls).items():
        if inspect.isfunction(method) and not method_name.startswith("_"):
            lines += _function(method_name, method, level=4)
    return lines


def _function(name: str, function: Callable[..., Any], level: int = 3) -> list[str]:
    signature = re.sub(r"'", "", str(inspect.signature(function)))
    abstract = getattr(function, "__isabstractmethod__", False)
    needed = " (to be written)" if abstract else ""
    return [f"{'#' * level} `{name}`{needed}", "", "```python", f"{name}{signature}", "```", "", *_prose(function)]


def _kit(name: str, kit: type[Any]) -> list[str]:
    checks = [(n, m) for cls in reversed(kit.__mro__) for n, m in vars(cls).items() if n.startswith(_CHECK)]
    lines = [f"### `{name}`", "", *_prose(kit), "| check | holds |", "|---|---|"]
    for check, method in dict(checks).items():
        summary = inspect.getdoc(method) or ""
        lines.append(f"| `{check.removeprefix(_CHECK)}` | {inline(summary.partition(chr(10))[0])} |")
    return [*lines, ""]


def _prose(subject: Any) -> list[str]:
    return [*docstring_as_markdown(inspect.getdoc(subject) or ""), ""]
