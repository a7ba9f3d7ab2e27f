"""`evaluate`: a user's expression over plain data, in a locked process that is stopped at a deadline."""

from __future__ import annotations

import json
import keyword
import os
import sys
from collections.abc import Callable, Mapping

from proxima.errors import DeadlineExceededError, ResourceError, RunError, UsageError
from proxima.sandbox.restricted import MAX_DATA, NotAllowedError, plain_data

MAX_EXPRESSION = 10_000
MEMORY_BYTES = 256 << 20
START_SECONDS = 20.0

Run = Callable[[bytes, float, int], bytes]
"""Runs `proxima.sandbox.restricted.answer` on a request elsewhere, within seconds and bytes of memory."""


def evaluate(
    expression: str,
    variables: Mapping[str, object] | None = None,
    *,
    deadline: float = 1.0,
    memory_bytes: int = MEMORY_BYTES,
    run: Run | None = None,
) -> object:
    """The value of an expression such as ``counts["00"] / shots > 0.4 and backend == "qsim"``.

    It is one expression of Python without attributes but for a few methods of strings, lists and dictionaries, without
    imports, and with a handful of functions (`proxima.sandbox.restricted.FUNCTIONS`). RestrictedPython compiles it,
    which by itself is no sandbox: what holds it is the process it runs in, which can open, start and reach nothing.

    Args:
        expression: At most 10 000 characters.
        variables: Names to plain data: None, bool, int, float, str, and lists (or tuples) and dictionaries with keys of
            text of them, at most 1 MiB as JSON, nested at most 32 deep, whole numbers of at most 4096 bits.
        deadline: Seconds that evaluating may take; starting the process is not counted.
        memory_bytes: The address space that evaluating may take.
        run: Evaluates elsewhere. By default a worker does, locked as plugins' are, which stays for the next expression
            and is ended when one takes too long or too much memory; where the host locks nothing, a new process with
            resource limits, on POSIX alone.

    Returns:
        Plain data, with the same limits; a tuple comes back as a list.

    Raises:
        UsageError: The expression is not one, asks for what is not allowed, or raises on this data.
        DeadlineExceededError: It took too long.
        ResourceError: It took too much memory.
        RunError: The process ended in another way.
        LockError: The worker could not be locked.
    """
    if len(expression) > MAX_EXPRESSION:
        raise UsageError(f"an expression is text of at most {MAX_EXPRESSION:,} characters")
    if not 0 < deadline <= 3600:
        raise UsageError(f"the deadline of an expression is a number of seconds above 0, not {deadline!r}")
    values = dict(variables or {})
    try:
        asked = {"expression": plain_data(expression), "variables": plain_data(values)}
    except NotAllowedError as error:
        raise UsageError(f"the variables of an expression: {error}") from None
    for name in values:
        if not name.isidentifier() or name.startswith("_") or keyword.iskeyword(name):
            raise UsageError(f"{name!r} cannot be the name of a variable in an expression")
    request = json.dumps(asked).encode()
    if len(request) > MAX_DATA:
        raise UsageError(f"the variables of an expression are larger than {MAX_DATA:,} bytes")
    return _result(expression, (run or _runner())(request, deadline, memory_bytes))


def _runner() -> Run:
    if sys.platform == "linux":
        from proxima.sandbox.evaluator import evaluator

        if (found := evaluator()) is not None:
            return found.run
    return run_in_child


def run_in_child(request: bytes, seconds: float, memory_bytes: int) -> bytes:
    """Evaluate in a new process, limited in processor time, memory, files and file size.

    Raises:
        DeadlineExceededError, ResourceError, RunError: As `evaluate`.
    """
    import signal
    import subprocess
    import threading
    from importlib.util import find_spec

    if os.name != "posix":
        raise RunError("expressions are evaluated on POSIX systems alone: this one has no resource limits")
    found = find_spec("RestrictedPython")
    if found is None or found.origin is None:
        raise RunError("RestrictedPython is not installed", hint="Reinstall proxima-kernel, which depends on it.")
    # -I -S: no site-packages as a whole, so no .pth file of a stranger's runs.
    script = os.path.join(os.path.dirname(__file__), "restricted.py")
    packages = json.dumps(
        [os.path.dirname(os.path.dirname(each)) for each in (found.origin, os.path.dirname(__file__))]
    )
    limits = [repr(seconds), str(memory_bytes), str(MAX_DATA)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", script, packages, *limits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
    )
    too_late = threading.Event()

    def stop() -> None:
        too_late.set()
        process.kill()

    overdue = threading.Timer(seconds + START_SECONDS, stop)
    overdue.start()
    answer = b""
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            try:
                process.stdin.write(request)
                process.stdin.close()
            except BrokenPipeError:  # how it ended tells more
                process.kill()
            answer = process.stdout.read(MAX_DATA + 1)
    finally:
        overdue.cancel()
        if len(answer) != 0:
            process.kill()  # it has said what it had to say; one that was taken over may go on
        status = process.wait()
    if not answer and (too_late.is_set() or status in (-signal.SIGALRM, -signal.SIGXCPU)):
        raise DeadlineExceededError(f"the expression took longer than {seconds:g} s")
    if not answer or len(answer) > MAX_DATA:
        raise RunError(f"the process that evaluated the expression ended with status {status} and no answer")
    return answer


def _result(expression: str, answer: bytes) -> object:
    """The value in an answer, which may come from a process that the expression has taken over."""
    try:
        data = json.loads(answer)
        kind, value = data
    except (ValueError, TypeError, RecursionError):
        raise RunError("the process that evaluated the expression gave no answer that can be read") from None
    shown = expression if len(expression) <= 200 else expression[:200] + "..."
    if kind == "value":
        try:
            return plain_data(value)
        except NotAllowedError as error:
            raise RunError(f"the process that evaluated the expression gave no plain data: {error}") from None
    if kind == "memory":
        raise ResourceError(f"the expression {shown!r} needs more memory than it may have")
    raise UsageError(f"the expression {shown!r}: {str(value)[:500]}")
