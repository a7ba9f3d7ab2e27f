"""Runs a module that may start no program: ``python childless.py MODULE ARGUMENT ...``.

pip and pip-tools build what is no wheel, and fetch from version control, by programs that they start; wheels need none.
"""

from __future__ import annotations

import os
import runpy
import sys

REFUSED = "no program may be started to find versions"

_STARTS = (
    *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system"),
    *("pty.spawn", "subprocess.Popen"),
)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    # The user may have set that pip gets an index's password from the program `keyring`.
    if event in _STARTS and os.path.basename(str(arguments[0] if arguments else "")) != "keyring":
        raise PermissionError(REFUSED)


if __name__ == "__main__":
    sys.addaudithook(_refuse)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
