"""``proxima plugin bisect``: which plugin breaks a command, by halves. Nothing is disabled on the way."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from proxima.cli.output import clean, print_json
from proxima.dialogue import Dialogue, NoAnswerError
from proxima.errors import UsageError
from proxima.kernel import Kernel

SUMMARY = "find the plugin that breaks a command"
EPILOG = """\
examples:
  proxima plugin bisect -- proxima run bell.qasm      by the command's exit code
  proxima plugin bisect                               asks after each try; works for anything you can see

Plugins of this project stay on; of the others, halves are left out until what is needed for the failure is left.
"""

_GIVE = "give the command that fails: proxima plugin bisect -- COMMAND ..."

Fails = Callable[[Sequence[str]], bool]


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="a run that takes longer fails")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("trial", nargs="*", metavar="COMMAND", help="what fails, after --")


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Finds it; 0 where something was found."""
    if not args.timeout > 0:
        raise UsageError(f"--timeout {args.timeout}: expected seconds above 0")
    usable = [r for r in kernel.registry.records.values() if r.error() is None]
    ours = [r.id for r in usable if r.first_party]
    others = [r.id for r in usable if not r.first_party]
    tried: list[tuple[Sequence[str], bool]] = []

    def fails(plugins: Sequence[str]) -> bool:
        with_these = [*ours, *plugins]
        before = kernel.registry.state.quarantined()
        try:
            failed = _run(args.trial, with_these, args.timeout) if args.trial else _ask(with_these, plugins)
        finally:  # else the next try would start without a plugin that broke in this one
            for plugin_id in kernel.registry.state.quarantined() - before:
                kernel.registry.state.enable(plugin_id)
        tried.append((plugins, failed))
        print(f"with {len(plugins)} of {len(others)}: {'fails' if failed else 'works'}", file=sys.stderr, flush=True)
        return failed

    if not fails(others):
        return _say(args, tried, [], "it works with every plugin on: nothing to find")
    if not others or fails([]):
        return _say(args, tried, [], "it fails without any third-party plugin, too: none of them is the cause")
    culprits = culprits_of(others, fails)
    together = "breaks it" if len(culprits) == 1 else "break it together: each alone does not"
    return _say(args, tried, culprits, f"{', '.join(culprits)} {together}")


def culprits_of(plugins: Sequence[str], fails: Fails) -> list[str]:
    """The least set of plugins that fails, where more plugins never mend a failure.

    All of ``plugins`` together fail, none of them does not. Each member found takes about log2(n) + 1 tries.
    """
    found: list[str] = []
    rest = list(plugins)
    while True:
        low, high = 0, len(rest)  # rest[:low] works, rest[:high] fails, both beside what was found
        while high - low > 1:
            middle = (low + high) // 2
            if fails([*found, *rest[:middle]]):
                high = middle
            else:
                low = middle
        found.append(rest[low])
        rest = rest[:low]
        if not rest or fails(found):
            return found


def _run(command: Sequence[str], plugins: Sequence[str], seconds: float) -> bool:
    environment = os.environ | {"PROXIMA_PLUGINS": ",".join(plugins)}
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from None
    return done.returncode != 0


def _ask(with_these: Sequence[str], plugins: Sequence[str]) -> bool:
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on", hint=_GIVE)
    print(f"Try it with {len(plugins)} third-party plugins on, in another terminal, with\n", file=sys.stderr)
    print(f"  export PROXIMA_PLUGINS={','.join(with_these)}\n", file=sys.stderr)
    dialogue = Dialogue(sys.stdin, sys.stderr)
    while True:
        try:
            answer = dialogue.ask("Does it fail? [y/n] ")
        except NoAnswerError as why:
            raise UsageError(f"it is not known whether it fails: {why}", hint=_GIVE) from None
        if answer in ("y", "yes", "n", "no"):
            return answer.startswith("y")


def _say(
    args: argparse.Namespace, tried: Sequence[tuple[Sequence[str], bool]], culprits: Sequence[str], verdict: str
) -> int:
    if args.json:
        tries = [{"plugins": list(plugins), "failed": failed} for plugins, failed in tried]
        print_json({"culprits": list(culprits), "verdict": verdict, "tries": tries})
    else:
        print(clean(verdict))
        for name in culprits if len(culprits) == 1 else ():
            print(f"turn it off with `proxima plugin disable {clean(name)}`")
    return 0 if culprits else 1
