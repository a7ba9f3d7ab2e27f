"""The subcommands of ``proxima plugin`` for those who write plugins: the SDK has them, where it is installed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from proxima.errors import UnavailableError
from proxima.kernel import Kernel

_SDK = "proxima_sdk"  # met by name, and only when one of its commands is run

NAMES = ("build", "dev", "docs", "new", "test", "validate")


def run(name: str, words: Sequence[str], kernel: Kernel, parser: argparse.ArgumentParser) -> int:
    """Has the SDK's command read its words and do its work.

    Args:
        name: One of `NAMES`.
        words: Those after it.
        kernel: This session.
        parser: An empty one.

    Raises:
        UnavailableError: The SDK is not installed.
    """
    try:
        command = import_module(f"{_SDK}.cli.{name}")
    except ModuleNotFoundError as error:
        what = f"`proxima plugin {name}` needs the SDK's tools: {error.name} is not installed here"
        raise UnavailableError(what, hint='pip install "proxima-plugin-sdk[tools]"') from None
    parser.description = import_module(f"{_SDK}.cli").COMMANDS[name]
    command.configure(parser)
    code: int = command.run(parser.parse_args(list(words)), kernel)
    return code
