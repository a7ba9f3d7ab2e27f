"""``proxima plugin new``."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from proxima.cli.output import clean, print_json
from proxima_sdk.new import LICENCES, TYPES, Project, author_of_git, create_project

if TYPE_CHECKING:
    from proxima.kernel import Kernel

EPILOG = """\
examples:
  proxima plugin new my-simulator --type backend
  proxima plugin new bloch --type visualization --license Apache-2.0 --author "Ada Lovelace" --no-git

types:
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = EPILOG + "\n".join(f"  {name:<15}{each.summary}" for name, each in TYPES.items())
    parser.add_argument("name", metavar="NAME", help="the plugin's id, e.g. my-simulator")
    parser.add_argument("--type", required=True, choices=sorted(TYPES), metavar="TYPE", help="one of the types below")
    parser.add_argument("--license", default="MIT", choices=LICENCES, help="default: MIT")
    parser.add_argument("--author", help="default: as git knows you, else your login name")
    parser.add_argument("--email", help="default: as git knows you")
    parser.add_argument("--description", default="", help="one line; default: what the example does")
    parser.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="where its directory is made")
    parser.add_argument(
        "--git", action=argparse.BooleanOptionalAction, help="make a repository (default: where git is, outside of one)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Makes the project, and says what can be done next."""
    name, email = author_of_git(args.output if args.output.is_dir() else Path())
    project = Project(
        name=args.name,
        type=args.type,
        author=name or getpass.getuser() if args.author is None else args.author,
        email=(email if args.author is None else "") if args.email is None else args.email,
        description=args.description,
        licence=args.license,
        taken=_taken(kernel),
    )
    made = create_project(project, args.output, git=args.git)
    files = sorted(file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file())
    files = [file for file in files if not file.startswith(".git/")]
    if args.json:
        print_json({"name": project.name, "type": project.type, "directory": str(made), "files": files})
        return 0
    print(clean(f"{made}: a plugin of type {project.type}, {len(files)} files"))
    for step in ("test", "dev", "build"):
        print(clean(f"  proxima plugin {step} {made}"))
    return 0


def _taken(kernel: Kernel) -> dict[str, str]:
    """The ids of the installed plugins and the names of what they contribute."""
    from proxima.cli.app import BUILTIN

    taken = dict.fromkeys(BUILTIN, "it is a command of Proxima's own")
    for record in kernel.registry.records.values():
        taken[record.id] = "a plugin of that name is installed"
        for contribution in record.manifest.contributions if record.manifest else ():
            taken.setdefault(contribution.name, f"the plugin {record.id} has a contribution of that name")
    return taken
