"""The page of the manifest, from its schema."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from proxima.sandbox.policy import Limits
from proxima_sdk.manifest.model import json_schema

TAIL = """
Where the manifest sets none, these maxima of a worker hold: {maxima}. The user's settings change them, as
`limits.maximum.NAME` for all plugins and as `limits.ID.NAME` for one.

What may stand under `permissions` is on [a page of its own](../user-guide/permissions.md).

## Other plugins

There is no field for plugins that a plugin depends on, and no plugin imports another: each has dependencies of its own
and, mostly, a process of its own. What to do instead:

- Code that two plugins share is a library: a Python package that both name under `dependencies`.
- What a plugin does for others is a [service](plugin-development.md#settings-and-services). The contract's class lies
  in such a library, too. Others ask the kernel for it when they need it, and are told why where nobody offers it; they
  say what to install.
"""


def manifest() -> str:
    """The fields of plugin.yaml.

    Raises:
        ValueError: A field is without a description.
    """
    schema = json_schema()
    lines = [
        "# The manifest, `plugin.yaml`",
        "",
        "The JSON Schema is in [plugin-manifest.schema.json](plugin-manifest.schema.json), for editors that know such.",
    ]
    for name, part in (("plugin.yaml", schema), *schema["$defs"].items()):
        title = "Fields" if name == "plugin.yaml" else name.removesuffix("Model")
        lines += ["", f"## {title}", "", str(part["description"]).partition("\n\n")[0].replace("``", "`"), ""]
        lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
        required = part.get("required", [])
        for field, about in part.get("properties", {}).items():
            default = (
                "required" if field in required else f"`{json.dumps(about['default'])}`" if "default" in about else ""
            )
            if not (meaning := str(about.get("description", ""))):
                raise ValueError(f"{title}.{field} has no description")
            lines.append(f"| `{field}` | {_type(about)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n" + TAIL.format(maxima=_maxima())


def _maxima() -> str:
    return ", ".join(f"{each.name} {getattr(Limits(), each.name):,}" for each in fields(Limits))


def _type(about: dict[str, Any]) -> str:
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2].removesuffix("Model")
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    if "anyOf" in about:
        return " or ".join(_type(part) for part in about["anyOf"])
    match about.get("type"):
        case "array":
            return f"list of {_type(about['items'])}"
        case "object" if isinstance(about.get("additionalProperties"), dict):
            return f"mapping to {_type(about['additionalProperties'])}"
        case "object":
            return "mapping"
        case "null":
            return "nothing"
    return str(about.get("type", "anything"))
