"""Asking the user: what a plugin wants, why, and how risky it is; no answer in five minutes is a no."""

from __future__ import annotations

import re
import threading
from typing import Literal, NamedTuple, Protocol, TextIO

from proxima.dialogue import TIMEOUT_SECONDS, Dialogue, NoAnswerError
from proxima.permissions.grammar import Permission

ConsentAnswer = Literal["once", "session", "always", "deny"]

MAX_SHOWN = 500
MAX_TRIES = 3

_ANSWERS: tuple[ConsentAnswer, ...] = ("once", "session", "always", "deny")


class ConsentRequest(NamedTuple):
    """What the user is asked: a permission, the file, host or command it is for now, and why in the plugin's words."""

    plugin: str
    version: str
    permission: Permission
    target: str | None = None
    reason: str = ""
    run_id: str | None = None


class Consent(Protocol):
    """Somebody who can be asked."""

    def ask(self, request: ConsentRequest) -> ConsentAnswer:
        """Answer a request; an implementation that waits for a person denies after `TIMEOUT_SECONDS`."""
        ...


class DenyAll:
    """Nobody is there to ask."""

    def ask(self, request: ConsentRequest) -> ConsentAnswer:
        """Deny."""
        return "deny"


class TerminalConsent:
    """Asks on a terminal; where there is none, or no answer comes, it denies and says how to grant.

    Args:
        stream_in: Where the answer is read, as `Dialogue` does.
        stream_out: Where the question is written.
        timeout: Seconds until a request is denied.
    """

    def __init__(self, stream_in: TextIO, stream_out: TextIO, timeout: float = TIMEOUT_SECONDS) -> None:
        self._in = stream_in
        self._out = stream_out
        self._timeout = timeout
        self._lock = threading.Lock()

    def ask(self, request: ConsentRequest) -> ConsentAnswer:
        """Show the request and read once, session, always or deny; an empty line is deny."""
        with self._lock:  # one question at a time
            permission = request.permission
            self._write(f"{shown(request.plugin)} {shown(request.version)} asks for a permission\n")
            self._write(f"  what    {_whole(permission.describe())} ({_whole(str(permission))})\n")
            if request.target is not None:
                self._write(f"  for     {shown(request.target)}\n")
            if request.reason:
                self._write(f"  why     {shown(request.reason)}\n")
            self._write(f"  risk    {permission.risk}\n")
            try:
                return self._answer()
            except NoAnswerError as why:
                self._write(f"\nDenied: {why}; {how_to_grant(request.plugin, permission)}\n")
                return "deny"

    def _answer(self) -> ConsentAnswer:
        dialogue = Dialogue(self._in, self._out, self._timeout)
        for _ in range(MAX_TRIES):
            typed = dialogue.ask("Allow [o]nce, this [s]ession, [a]lways, or [d]eny? ")
            if typed in ("", "n", "no"):
                return "deny"
            for answer in _ANSWERS:
                if typed in (answer, answer[0]):
                    return answer
        raise NoAnswerError("none of these was answered")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def how_to_grant(plugin: str, permission: object = "PERMISSION") -> str:
    """The command that lifts a denial, as a sentence."""
    import shlex

    return f"to allow it: `proxima plugin permissions {plugin} grant {shown(shlex.quote(str(permission)))}`."


def shown(text: str) -> str:
    """Text from a plugin, made harmless to a terminal and cut to a few lines."""
    return _whole(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")


def _whole(text: str) -> str:
    """All of the text; with spaces in a row it could fill a line of the terminal and look like the next one."""
    spaced = re.sub(" {2,}", lambda run: "\\x20" * len(run[0]), text)
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in spaced)
