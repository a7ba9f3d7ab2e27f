"""The full command line: the kernel's own commands, and those of plugins, which are imported only when they are run."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from proxima import __version__
from proxima.cli import sdk
from proxima.cli.output import clean, paragraph
from proxima.errors import NotFoundError, SettingsError, UsageError
from proxima.kernel import Kernel
from proxima.nearest import did_you_mean

if TYPE_CHECKING:
    from proxima.permissions import Consent, ConsentAnswer, ConsentRequest
    from proxima.sandbox.launching import Launched

EPILOG = """\
examples:
  proxima run bell.qasm                      run a circuit on the backend that suits it
  proxima compare bell.qasm --shots 4096     run it on every backend, and compare
  proxima plugin list                        what is installed
  proxima doctor                             what works on this machine, and what does not

exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 unavailable, 4 denied, 130 interrupted
"""

BUILTIN = {
    "audit": "search the record of what plugins were granted, used and were kept from",
    "completion": "print the script that completes proxima's commands in a shell",
    "doctor": "say what works on this machine, what does not, and what to do about it",
    "plugin": "list, inspect, enable and disable plugins, and what they may do",
}
"""The kernel's own commands; each is a module of this package with ``configure`` and ``run``."""


class _Lines(logging.Formatter):
    """What is logged may quote a plugin, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return paragraph(super().format(record))


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage as our own error, with the nearest choice where one was mistyped."""

    def error(self, message: str) -> NoReturn:
        wrong, _, choices = message.rstrip(")").partition(" (choose from ")
        mistyped = wrong.partition("invalid choice: ")[2].strip("'")
        near = did_you_mean(mistyped, [choice.strip("'") for choice in choices.split(", ") if choice])
        raise UsageError(f"{self.prog}: {wrong if near else message}", hint=near or f"see `{self.prog} --help`")


def run(words: Sequence[str], zygote: Launched | None = None) -> int:
    """Runs the command that the words name and returns the exit code; for the zygote see `Kernel`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("proxima: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that this terminal has no characters for
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current directory was deleted", hint="change to one that exists") from None
    completing = "_ARGCOMPLETE" in os.environ
    before = _global_options(_Parser(prog="proxima", add_help=False, allow_abbrev=False))
    before.add_argument("words", nargs=argparse.REMAINDER)
    given = os.environ.get("COMP_LINE", "").split()[1:] if completing else list(words)
    wanted, _ = before.parse_known_args(given)
    flags = _flags(wanted.set or ())
    with Kernel(safe_mode=wanted.safe_mode, flags=flags, consent=_Terminal(), zygote=zygote) as kernel:
        code = None if completing else _run_one(wanted.words, kernel)
        if code is None:
            parser = _parser(kernel, wanted.words[:2])
            if completing:
                import argcomplete

                argcomplete.autocomplete(parser)
            args = parser.parse_args(list(words))
            if args.command is None:
                parser.print_help()
                return 2
            code = args.run(args, kernel)
        with suppress(SettingsError):  # a file that is wrong has been told of, or was not needed
            if kernel.own_settings.get("store"):  # the user has set something of it
                from proxima.cli.updates import after_command

                after_command(kernel)
        return code


def _run_one(words: Sequence[str], kernel: Kernel) -> int | None:
    """Runs a subcommand of ``proxima plugin`` that has a module of its own, whose options are all that is read.

    Returns:
        The exit code; ``None`` where the words name something else.
    """
    if len(words) < 2 or words[0] != "plugin":
        return None
    from proxima.cli import plugin

    name, module = words[1], plugin.module_of(words[1])
    parser = _Parser(prog=f"proxima plugin {name}", formatter_class=argparse.RawDescriptionHelpFormatter)
    if name in sdk.NAMES:
        return sdk.run(name, words[2:], kernel, parser)
    if module is None:
        return None
    parser.description = module.SUMMARY
    module.configure(parser)
    code: int = module.run(parser.parse_args(words[2:]), kernel)
    return code


def _global_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--safe-mode", action="store_true", help="start without third-party plugins")
    parser.add_argument(
        "--set", action="append", metavar="KEY=VALUE", help="a setting for this run, e.g. plugins.import_seconds=5"
    )
    return parser


def _parser(kernel: Kernel, words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; of the plugins' commands only the one that the words name is imported and configured."""
    parser = _Parser(
        prog="proxima",
        description="A plugin-first microkernel for quantum computing.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"proxima {__version__}")
    _global_options(parser)
    command = words[0] if words else ""
    single, groups = _commands(kernel)
    subcommands = {group: f"subcommands: {', '.join(sorted(members))}" for group, members in groups.items()}
    summaries = single | subcommands | BUILTIN
    if command not in summaries:
        for name in (command, " ".join(words)):
            with suppress(NotFoundError):  # the parser says so, with the nearest names
                kernel.registry.find("commands", name)  # raises where its plugin cannot be used
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in sorted(summaries):
        one = _add(subparsers, name, summaries[name], described=name == command and name not in groups)
        if name != command:
            continue
        if name in BUILTIN:
            source = importlib.import_module(f"{__package__}.{name}")
            source.configure(one)
            one.set_defaults(run=source.run)
        elif name in groups:
            _configure_group(kernel, one, name, groups[name], words[1] if len(words) > 1 else "")
        else:
            _configure(kernel, one, name)
    return parser


def _commands(kernel: Kernel) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The plugins' commands with their summaries: those of one word, and by group those of two, e.g. ``bench run``."""
    single: dict[str, str] = {}
    groups: dict[str, dict[str, str]] = {}
    # First-party plugins come first, and have a word that others claim too; what is no word cannot be a command.
    for each in reversed(kernel.contributions("commands")):
        match each.name.split(" "):
            case [word] if _is_word(word):
                groups.pop(word, None)
                single[word] = clean(each.description)
            case [group, word] if _is_word(group) and _is_word(word):
                single.pop(group, None)
                groups.setdefault(group, {})[word] = clean(each.description)
    return single, groups


def _is_word(text: str) -> bool:
    return text.replace("-", "_").isidentifier()


def _configure_group(
    kernel: Kernel, parser: argparse.ArgumentParser, group: str, members: Mapping[str, str], word: str
) -> None:
    """Adds a group's subcommands, which may be those of several plugins."""
    if word not in members:
        with suppress(NotFoundError):
            kernel.registry.find("commands", f"{group} {word}")
    subparsers = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", title="subcommands", required=True)
    for name in sorted(members):
        one = _add(subparsers, name, members[name], described=name == word)
        if name == word:
            _configure(kernel, one, f"{group} {name}")


def _add(subparsers: Any, name: str, summary: str, *, described: bool) -> argparse.ArgumentParser:
    # argparse fills in what follows a percent sign
    one: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary.replace("%", "%%"), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if described:
        one.description = summary.replace("%(", "% (")
    return one


def _configure(kernel: Kernel, parser: argparse.ArgumentParser, name: str) -> None:
    source = kernel.get("commands", name)
    source.configure(parser)
    parser.set_defaults(run=source.run)


def _flags(pairs: Sequence[str]) -> dict[str, object]:
    flags: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError(f"--set {pair}: expected KEY=VALUE, e.g. plugins.import_seconds=5")
        flags[key] = value
    return flags


class _Terminal:
    """The user at the terminal, where there is one; what asks is imported when there is a question."""

    @cached_property
    def _consent(self) -> Consent:
        from proxima.permissions import DenyAll, TerminalConsent

        if sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty():
            return TerminalConsent(sys.stdin, sys.stderr)
        return DenyAll()

    def ask(self, request: ConsentRequest) -> ConsentAnswer:
        return self._consent.ask(request)
