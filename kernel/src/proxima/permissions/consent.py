"""Asking the user: what a plugin wants, why, and how risky it is; no answer in five minutes is a no."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Literal, Protocol, TextIO

from proxima.permissions.grammar import Permission

ConsentAnswer = Literal["once", "session", "always", "deny"]

TIMEOUT_SECONDS = 300.0
MAX_SHOWN = 500
MAX_TRIES = 3

_ANSWERS: dict[str, ConsentAnswer] = {
    "o": "once",
    "once": "once",
    "s": "session",
    "session": "session",
    "a": "always",
    "always": "always",
    "d": "deny",
    "deny": "deny",
    "n": "deny",
    "no": "deny",
    "": "deny",
}


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """What the user is asked.

    Attributes:
        plugin: The plugin's id.
        version: Its version.
        permission: What it wants.
        target: What it wants it for now: a file, a host, a command.
        reason: Why, in the plugin's words.
        run_id: The run it belongs to, if any.
    """

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
        stream_in: Where the answer is read; anything but a terminal denies. So does a Windows console, which
            cannot be waited for with a time limit.
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
            self._show(request)
            if os.name != "posix" or not self._in.isatty():
                return self._denied(request, "no terminal to ask on")
            self._discard_typeahead()
            deadline = time.monotonic() + self._timeout
            for _ in range(MAX_TRIES):
                self._write("Allow [o]nce, this [s]ession, [a]lways, or [d]eny? ")
                line = self._read_line(deadline)
                if line is None:
                    return self._denied(request, f"no answer in {self._timeout:g} s")
                if not line:
                    return self._denied(request, "the input ended")
                answer = _ANSWERS.get(line.strip().lower())
                if answer is not None:
                    return answer
            return self._denied(request, "none of these was answered")

    def _show(self, request: ConsentRequest) -> None:
        lines = [
            f"{shown(request.plugin)} {shown(request.version)} asks for a permission".replace("  ", " "),
            f"  what    {request.permission.describe()} ({request.permission})",
        ]
        if request.target is not None:
            lines.append(f"  for     {shown(request.target)}")
        if request.reason:
            lines.append(f"  why     {shown(request.reason)}")
        lines.append(f"  risk    {request.permission.risk}")
        self._write("\n".join(lines) + "\n")

    def _denied(self, request: ConsentRequest, why: str) -> ConsentAnswer:
        self._write(f"\nDenied: {why}. {how_to_grant(request.plugin, request.permission)}\n")
        return "deny"

    def _discard_typeahead(self) -> None:
        # What was typed or pasted before the question was seen does not answer it.
        import termios

        termios.tcflush(self._in.fileno(), termios.TCIFLUSH)

    def _read_line(self, deadline: float) -> str | None:
        import select

        ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
        return self._in.readline() if ready else None

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def how_to_grant(plugin: str, permission: Permission) -> str:
    """The command that grants a permission, as a sentence."""
    import shlex

    return f"To allow it: proxima plugin permissions {shlex.quote(plugin)} grant {shlex.quote(str(permission))}"


def shown(text: str) -> str:
    """Text from a plugin, made harmless to a terminal and cut to a few lines."""
    cut = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut)
