"""How a worker ended, as an error that names the plugin and, where one was reached, the limit."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

from proxima.sandbox.errors import CrashedError, LimitError, SandboxError
from proxima.sandbox.policy import SandboxPolicy

_FORBIDDEN = "it made a system call that no plugin may make"
_WORDS: dict[int, str] = {
    signal.SIGSYS: _FORBIDDEN,
    signal.SIGSEGV: "it accessed memory that is not there (SIGSEGV)",
    signal.SIGBUS: "it accessed memory that is not there (SIGBUS)",
    signal.SIGABRT: "a library in it gave up (SIGABRT), perhaps for lack of memory",
    signal.SIGKILL: "it was killed, perhaps because the machine ran out of memory",
}


class Exit(NamedTuple):
    """The end of a process.

    Attributes:
        status: As `os.wait` gives it; ``None`` where the zygote died with it.
        cpu_seconds: What it used.
    """

    status: int | None
    cpu_seconds: float = 0.0


def explain(policy: SandboxPolicy, ended: Exit, said: str = "") -> SandboxError:
    """The error for callers whose calls a process's end cut short.

    Args:
        policy: What the worker was held to.
        ended: How its process ended.
        said: The last line it wrote to its standard error.
    """
    plugin, limits = policy.plugin, policy.limits
    code = None if ended.status is None else os.waitstatus_to_exitcode(ended.status)
    number = -code if code is not None and code < 0 else 0
    if number == signal.SIGXCPU or (number == signal.SIGKILL and ended.cpu_seconds >= limits.cpu_seconds - 0.5):
        return LimitError(
            f"plugin {plugin} was stopped: it used up its {limits.cpu_seconds} s of processor time",
            limit="cpu_seconds",
            hint=how_to_raise(plugin, "cpu_seconds"),
            plugin=plugin,
        )
    if number == signal.SIGXFSZ:
        return LimitError(
            f"plugin {plugin} was stopped: it wrote a file larger than {limits.file_bytes:,} bytes",
            limit="file_bytes",
            hint=how_to_raise(plugin, "file_bytes"),
            plugin=plugin,
        )
    if code is None:
        how = "the process that all workers are forked from ended"
    elif number:
        how = _WORDS.get(number, f"it was ended by signal {number}")
    else:
        how = f"it ended itself with exit status {code}"
    said = f"; it said: {said}" if said else ""
    hint = f"what it printed before is in its log; `proxima plugin disable {plugin}` turns it off"
    return CrashedError(f"plugin {plugin} crashed: {how}{said}", hint=hint, plugin=plugin)


def how_to_raise(plugin: str, limit: str) -> str:
    """What a user does about a limit."""
    return f"set limits.{plugin}.{limit} in the settings, if you want to allow it more"
