"""Writes the reference pages that repeat what the code says; ``--check`` only compares them.

A page made here begins with a comment that says so.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path

from generate_api import api
from generate_manifest import manifest
from generate_permissions import permissions

from proxima import hookspecs
from proxima.contracts.operations import OPERATIONS, OpKind
from proxima.plugins.manifest import KINDS
from proxima.storage import write_atomic
from proxima_sdk.manifest.model import json_schema

DOCS = Path(__file__).resolve().parent
MADE = "<!-- Made by docs/generate.py from the code. -->\n"


def operations() -> str:
    """The operation vocabulary."""
    titles = {OpKind.GATE: "Gates", OpKind.CHANNEL: "Noise channels", OpKind.MEASURE: "Other operations"}
    lines = [
        "# Operations",
        "",
        "The closed vocabulary of a circuit. Angles are in radians. In a matrix the first listed qubit is the least",
        "significant bit of the index; a controlled gate lists its controls first. Global phase is not represented.",
    ]
    groups: dict[str, list[str]] = {title: [] for title in titles.values()}
    for spec in OPERATIONS.values():
        title = titles.get(spec.kind, "Other operations")
        qubits = spec.num_qubits or "any"
        clifford = "yes" if spec.clifford else ""
        groups[title].append(
            f"| `{spec.name}` | {qubits} | {', '.join(spec.params)} | {clifford} | {_cell(spec.definition)} |"
        )
    for title, rows in groups.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| name | qubits | parameters | Clifford | definition |",
            "|---|---|---|---|---|",
            *rows,
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def hooks() -> str:
    """The hooks, with their examples."""
    lines = ["# Hooks", "", inspect.cleandoc(str(hookspecs.__doc__)).replace("``", "`")]
    for name in [*(f"proxima_{kind}" for kind in KINDS), "proxima_run_finished", "proxima_kernel_closing"]:
        hook = getattr(hookspecs, name)
        text = inspect.cleandoc(hook.__doc__).replace("``", "`")
        summary, _, example = text.partition("Example::\n\n")
        signature = str(inspect.signature(hook)).replace("'", "")
        code = inspect.cleandoc("\n" + example)
        lines += [
            "",
            f"## `{name}`",
            "",
            summary.strip(),
            "",
            "```python",
            f"{name}{signature}",
            "```",
            "",
            "```python",
            code,
            "```",
        ]
    return "\n".join(lines) + "\n"


PAGES = {
    "user-guide/operations.md": lambda: MADE + operations(),
    "user-guide/permissions.md": lambda: MADE + permissions(),
    "developer-guide/manifest.md": lambda: MADE + manifest(),
    "developer-guide/hooks.md": lambda: MADE + hooks(),
    "developer-guide/plugin-api-reference.md": lambda: MADE + api(),
    "developer-guide/plugin-manifest.schema.json": lambda: json.dumps(json_schema(), indent=1, sort_keys=True) + "\n",
}


def main() -> int:
    """The command; returns 1 where ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    stale = [
        name for name, page in PAGES.items() if not (DOCS / name).exists() or (DOCS / name).read_text("utf-8") != page()
    ]
    for name in stale:
        if check:
            print(f"docs/{name} is out of date: run `make manifests`", file=sys.stderr)
        else:
            write_atomic(str(DOCS / name), PAGES[name]())
            print(f"docs/{name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
