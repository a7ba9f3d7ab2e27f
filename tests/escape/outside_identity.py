"""Whom the kernel takes a plugin for, and what of its words reaches the user. Judged outside the worker."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from outside import Stopped, through, tried

ASK = """
from conversation import peer
def act(arguments):
    return peer().call("secrets.get", ("ESCAPE",))
"""


def two_plugins_of_one_name(arena: Any) -> str:
    """Another distribution that claims a trusted plugin's id must not run in its place, nor with its permissions."""
    from proxima.errors import ProximaError
    from proxima_sdk.manifest.compile import compiled_text
    from proxima_sdk.manifest.model import check_manifest

    permissions = ["secrets:ESCAPE"]
    arena.plugin("trusted", ASK, permissions=tuple(permissions))
    tried(arena.call("trusted") == "secret", "the trusted plugin cannot use what it was granted")
    arena.end("trusted")
    tool = {"name": "trusted", "class": "plug_thief.Act", "description": "Does harm"}
    manifest = arena.shop.manifest("trusted", type="tool", permissions=permissions, entry_points={"tools": [tool]})
    thief = arena.shop.lay_out(
        "thief", distribution="a-thief", compiled=compiled_text(check_manifest(manifest, source="trusted")),
        points="[proxima.plugins]\ntrusted = plug_thief:plugin\n",
    )  # fmt: skip
    (thief / "__init__.py").write_text(arena.code("trusted", ASK.replace("return peer()", 'return "thief: " + peer()')))
    arena.let_everybody_read(thief)
    arena.look_again()
    try:
        said = arena.call("trusted")
    except ProximaError as error:
        said = str(error)
        tried("a-thief" in said, said)
    finally:
        for info in Path(arena.host.plugin).glob("a_thief-*"):
            arena.remove(info)
        arena.look_again()
        arena.end("trusted")
    if said.startswith("thief: "):
        return "it was given the other one's secret"
    raise Stopped(said)


def act_in_anothers_name(arena: Any) -> list[str]:
    """A plugin that was granted a secret, and one that was not and says it is the first."""
    from proxima.errors import ProximaError

    body = """
from conversation import peer
def act(arguments):
    kernel = peer()
    kernel._plugin = "rich"
    return kernel.call("secrets.get", arguments["say"])
"""
    arena.plugin("rich", body, permissions=("secrets:ESCAPE",))
    tried(arena.call("rich", say=("ESCAPE",)) == "secret", "nobody gets the secret")
    arena.plugin("poor", body)
    got, refused = [], []
    for words in (("ESCAPE",), ("ESCAPE", "rich"), ("rich", "ESCAPE"), {"plugin": "rich", "name": "ESCAPE"}):
        try:
            got.append(arena.call("poor", say=words))
        except ProximaError as error:
            refused.append(f"{type(error).__name__}: {error}")
        arena.end("poor")
    if got:
        return got
    tried(refused[0].startswith("PermissionDeniedError: poor may not"), refused[0])
    tried(all("expected 1 items" in each or "expected a sequence" in each for each in refused[1:]), str(refused[1:]))
    raise Stopped("the kernel goes by the channel that a request came by")


SEQUENCES = "\x1b]0;x\x07\x1b[2J\x9b2J\u202e"


def escapes_for_a_terminal(arena: Any) -> str:
    """What a plugin says where the command line shows it, and in the list of plugins once it is broken."""
    from proxima.cli.output import clean
    from proxima.errors import ProximaError

    arena.plugin("painter", f"def act(arguments):\n    raise ValueError({SEQUENCES!r})")
    arena.plugin("broken-painter", f"raise ValueError({SEQUENCES!r})")
    said = []
    for name in ("painter", "broken-painter"):
        try:
            arena.call(name)
        except ProximaError as error:
            said.append(str(error))
    tried(len(said) == 2, "one of them did not raise")
    listed = arena.shop.proxima("plugin", "list")
    shown = "".join(clean(each) for each in said) + listed.stdout + listed.stderr
    tried("painter" in listed.stdout, listed.stderr)
    if any(not (c.isprintable() or c == "\n") for c in shown):
        return repr(shown)
    raise Stopped("escaped where it is shown")


def control_escapes_for_a_terminal(arena: Any) -> str:
    shown = json.loads(json.dumps(str(ValueError(SEQUENCES))))
    return through(SEQUENCES in shown, repr(shown))


def lines_that_look_like_the_kernels(arena: Any) -> str:
    """An error and a log record of several lines, one of which begins as those of the kernel do."""
    from proxima.cli.failure import report
    from proxima.errors import PluginBrokenError

    out = io.StringIO()
    with redirect_stderr(out):
        report(PluginBrokenError("plugin x raised no\nhint: run this", hint="a\nproxima: error: b"))
    done = arena.shop.python(
        "-c",
        "import logging; from proxima.cli.app import run\nrun(['audit'])\n"
        "logging.getLogger('proxima').warning('\\x1b[2J %s', 'a\\nproxima: b')",
    )
    tried("run this" in out.getvalue(), out.getvalue())
    tried("[2J a" in done.stderr, done.stderr)
    shown = f"{out.getvalue()}{done.stderr}"
    begins = [line.partition(":")[0] for line in shown.splitlines()]
    return through("\x1b" in shown or begins.count("proxima") != 2 or begins.count("hint") != 1, repr(shown))


def question_with_lines_of_its_own(arena: Any) -> str:
    """Spaces that a terminal of 80 columns breaks into lines, so that they look like the question's own."""
    from proxima.permissions import ConsentRequest, Permission, TerminalConsent

    target = "/data/x" + " " * 63 + "  risk    none: Proxima itself asks"
    out = io.StringIO()
    TerminalConsent(io.StringIO(), out).ask(
        ConsentRequest("hostile", "1", Permission("file_read", target), target, "because" + " " * 70 + "risk    none")
    )
    tried("/data/x" in out.getvalue() and "because" in out.getvalue(), out.getvalue())
    return through(" " * 9 in out.getvalue(), out.getvalue())
