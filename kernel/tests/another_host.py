"""Makes this process and those that it starts see another host, whose system calls are answered otherwise."""

from __future__ import annotations

import locked_child

from proxima.sandbox.linux import seccomp
from proxima.sandbox.linux.bpf import ALLOW, Check, assemble, error
from proxima.sandbox.linux.script import Script
from proxima.sandbox.linux.syscalls import AUDIT_ARCH, call, numbers

NAMESPACES = "clone into namespaces"
"""Stands for `clone` where it asks for namespaces."""


def see(denied: dict[str, int], *, uid: int = 0, files: dict[str, str] | None = None) -> None:
    """From here on it is there, for good.

    Args:
        denied: System calls, or `NAMESPACES`, and the error that they give.
        uid: The user to become; 0 to stay who one is.
        files: What to write to which files, in a user namespace of its own.
    """
    if uid:
        locked_child.open_up()
        locked_child.become(uid)
    if files:
        call("unshare", 0x10000000)
        for name, text in files.items():
            with open(name, "w") as file:
                file.write(text)
    table = numbers("x86_64")
    checks = {table["clone"]: [[Check(0, (0,), 0x7E020000)]]} if NAMESPACES in denied else {}
    answers = {table[name]: error(number) for name, number in denied.items() if name != NAMESPACES}
    verdicts = dict.fromkeys(table.values(), ALLOW) | answers
    verdicts = {number: verdict for number, verdict in verdicts.items() if number not in checks}
    script = Script(None, ())
    script.call("prctl", 38, 1, 0, 0, 0)
    seccomp.install(script, assemble(AUDIT_ARCH["x86_64"], verdicts, checks, otherwise=error(1), beyond=(9999, ALLOW)))
    script.run()
