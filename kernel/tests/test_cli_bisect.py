"""`proxima plugin bisect` finds the plugin that breaks a command, and leaves everything as it was."""

import json
import math
import sys
import textwrap

import pytest

from proxima.cli.bisect import culprits_of

BROKEN = """
from proxima.hookspecs import hookimpl


class Plugin:
    @hookimpl
    def proxima_commands(self):
        raise RuntimeError("broken")


plugin = Plugin()
"""


@pytest.mark.parametrize("bad", [{"p7"}, {"p0"}, {"p29"}, {"p3", "p20"}, {"p0", "p1", "p29"}])
def test_the_least_set_that_fails(bad):
    plugins = [f"p{i}" for i in range(30)]
    tries = []

    def fails(some):
        tries.append(some)
        return bad <= set(some)

    assert set(culprits_of(plugins, fails)) == bad
    assert len(tries) <= len(bad) * (math.ceil(math.log2(30)) + 1)


def test_a_planted_culprit_among_thirty(workshop):
    for i in range(30):
        workshop.lay_out(f"plant-{i:02}")
    culprit = "plant-17"
    trial = f"import os, sys; sys.exit('{culprit}' in os.environ['PROXIMA_PLUGINS'].split(','))"
    before = workshop.states()
    done = workshop.proxima("plugin", "bisect", "--", sys.executable, "-c", trial)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{culprit} breaks it",
        f"turn it off with `proxima plugin disable {culprit}`",
    ]
    assert len(done.stderr.splitlines()) <= 2 + math.ceil(math.log2(30)) + 1
    assert workshop.states() == before
    assert workshop.imported() == []


def test_the_command_line_itself_as_what_fails(workshop):
    for name in ("tea", "cake"):
        workshop.lay_out(name)
    workshop.lay_out("mould", BROKEN)
    load = """
        import proxima
        with proxima.open() as kernel:
            for command in kernel.contributions("commands"):
                if command.plugin in ("tea", "cake", "mould"):
                    kernel.get("commands", command.name)
    """
    done = workshop.proxima("plugin", "bisect", "--json", "--", sys.executable, "-c", textwrap.dedent(load))
    assert json.loads(done.stdout)["culprits"] == ["mould"]
    assert workshop.states()["mould"] == "enabled"


def test_what_cannot_be_found_is_said(workshop):
    workshop.lay_out("tea")
    works = workshop.proxima("plugin", "bisect", "--", sys.executable, "-c", "pass")
    assert (works.returncode, works.stdout) == (1, "it works with every plugin on: nothing to find\n")
    fails = workshop.proxima("plugin", "bisect", "--", sys.executable, "-c", "raise SystemExit(3)")
    assert "none of them is the cause" in fails.stdout
    slow = workshop.proxima("plugin", "bisect", "--timeout", "0.2", "--", "sleep", "30")
    assert "none of them is the cause" in slow.stdout
    assert "cannot run no-such-command" in workshop.proxima("plugin", "bisect", "--", "no-such-command").stderr
    assert "there is no terminal to ask on" in workshop.proxima("plugin", "bisect").stderr
