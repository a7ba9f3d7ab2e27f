"""The ``proxima`` command.

`--version` and `plugin list` answer before anything but this package's own few modules is imported: a user types the
one and a shell prompt may run the other, and with 1000 plugins installed neither may be felt.
"""

from __future__ import annotations

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage or input, 3 unavailable, 4 denied, 130 interrupted; 141 where
        whoever read the output has gone.
    """
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("proxima: interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - what is not ours is raised again
        from proxima.cli.failure import report

        return report(error)
    finally:
        if arguments is None:
            gc.freeze()  # all of it goes with the process; Python would go through it once more to see whether it can


def _run(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        from proxima import __version__

        print(f"proxima {__version__}")
        return 0
    if words == ["plugin", "list"]:
        from proxima.cli.plugin_list import main as plugin_list

        return plugin_list()
    if words[:2] == ["plugin", "install"] and sys.platform == "linux":
        return _install(words)
    from proxima.cli.app import run

    return run(words)


def _install(words: list[str]) -> int:
    """Starts what takes longest, the process that a worker is forked from, while all else is still imported."""
    gc.disable()  # what is imported is no garbage, and this process soon ends
    from contextlib import ExitStack, suppress

    from proxima.sandbox.errors import SandboxError
    from proxima.sandbox.launching import launch, yield_to_others

    with ExitStack() as stack:
        zygote = None
        with suppress(SandboxError):  # it is started anew when it is needed, which tells
            zygote = launch(once=True)
            stack.callback(zygote.close)
            yield_to_others(zygote.pid)
        from proxima.cli.app import run

        return run(words, zygote)
