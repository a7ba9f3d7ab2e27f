"""What the user is told when a command fails."""

from __future__ import annotations

import errno
import os
import sys

from proxima.cli.output import paragraph
from proxima.errors import ProximaError


def report(error: Exception) -> int:
    """Prints an error of ours as message and hint and returns the exit code; raises what is a bug.

    Nothing is printed where whoever read our output has gone.
    """
    if isinstance(error, ProximaError):
        lines = [f"proxima: error: {error}"] + ([f"hint: {error.hint}"] if error.hint else [])
        print("\n".join(map(paragraph, lines)), file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError) and error.filename is None and error.errno in (errno.EPIPE, errno.ENOSPC):
        # What is left in the buffer must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return 141
        print(f"proxima: error: cannot write the output: {error.strerror}", file=sys.stderr)
        return 1
    raise error
