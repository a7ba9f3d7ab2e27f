"""``proxima completion``: the script that a shell sources to complete our commands."""

from __future__ import annotations

import argparse

from proxima.kernel import Kernel

EPILOG = """\
examples:
  eval "$(proxima completion bash)"                       now
  proxima completion bash >> ~/.bashrc                    from now on
  proxima completion zsh > ~/.zfunc/_proxima
  proxima completion fish > ~/.config/fish/completions/proxima.fish
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the shell's name."""
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=["bash", "zsh", "fish", "tcsh", "powershell"])


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Prints the script."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["proxima"], shell=args.shell))
    return 0
