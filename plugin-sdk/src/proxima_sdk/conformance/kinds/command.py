"""`CommandConformance`."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import shlex
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from proxima_sdk.conformance.contribution import ContributionChecks


class CommandConformance(ContributionChecks):
    """Subclass it in a test module, name your command, run pytest.

    Attributes:
        command: A command's name among the installed plugins, or an instance, class or factory of one.
        lines: What follows the command's name, each of which must work: ``("--json", "list --limit 3")``.
    """

    kind = "commands"
    command: ClassVar[Any] = None
    lines: ClassVar[Sequence[str]] = ()

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=f"proxima {self.subject.name}", exit_on_error=False)
        self.asked("configure()", lambda: self.subject.configure(parser))
        return parser

    def test_name(self) -> None:
        """A word in small letters, or two for a subcommand of a group."""
        word = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
        if not re.fullmatch(f"{word}( {word})?", self.subject.name):
            expected = "a word in small letters, e.g. 'draw', or two, e.g. 'bench draw'"
            self.fails("name", expected=expected, got=repr(self.subject.name))

    def test_summary(self) -> None:
        """One line, which the manifest repeats."""
        summary = self.subject.summary
        if not summary.strip() or "\n" in summary:
            self.fails("summary", expected="one line", got=repr(summary))
        if self.declared is not None and self.declared.description != summary:
            self.fails(
                "summary",
                expected=f"{self.declared.description!r}, the description in plugin.yaml",
                got=repr(summary),
                convention="`proxima --help` shows the one, without importing the command, `proxima NAME --help` both",
            )

    def test_help(self) -> None:
        """It can be printed, and says something of every argument."""
        parser = self._parser()
        text = self.asked("the help", parser.format_help)
        for action in _all_actions(parser):
            if not action.help and not isinstance(action, argparse._SubParsersAction):
                named = action.option_strings or action.dest
                self.fails("the help", expected=f"a line about {named}", got=text.splitlines()[0])

    def test_configure_twice(self) -> None:
        """It leaves nothing behind that a second parser stumbles over."""
        first, second = (self.asked("the help", self._parser().format_help) for _ in range(2))
        if first != second:
            self.fails("configure(), twice", expected=first, got=second)

    def test_lines(self) -> None:
        """Each line works: exit code 0; what ``--json`` prints is JSON."""
        if not self.lines:
            pytest.skip(f"{type(self).__name__} names no lines to run")
        from proxima_sdk.testing import session

        for line in self.lines:
            words = shlex.split(line)
            out = io.StringIO()
            what = f"proxima {self.subject.name} {line}"
            args = self.asked(what, lambda words=words: self._parser().parse_args(words))  # type: ignore[misc]
            with contextlib.redirect_stdout(out):
                code = self.asked(what, lambda args=args: self.subject.run(args, session.kernel()))  # type: ignore[misc]
            if type(code) is not int or code != 0:
                self.fails(
                    what,
                    expected="the exit code 0",
                    got=repr(code),
                    cause="run() ends without `return 0`" if code is None else "",
                )
            if "--json" in words and not _is_json(out.getvalue()):
                self.fails(what, expected="JSON and nothing else", got=repr(out.getvalue()[:80]))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _all_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    actions = []
    for action in parser._actions:
        actions.append(action)
        if isinstance(action, argparse._SubParsersAction):
            for inner in dict.fromkeys(action.choices.values()):
                actions += _all_actions(inner)
    return actions
