"""What `make demo` runs: each example on the backend that suits it, then one of them on all backends.

The results are kept in a temporary home, so that the demo leaves nothing behind; where PROXIMA_HOME is set, there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from proxima.cli import main

EXAMPLES = Path(__file__).parent

RUNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("bell.qasm", ()),
    ("grover_4.qasm", ()),
    ("qft_16.qasm", ()),
    ("ghz_20.qasm", ("--shots", "4096")),
    ("qaoa_10.qasm", ("--want", "counts", "--want", "expectation:IIIIIIIIZZ")),
    ("clifford_100.qasm", ()),
    ("noisy_ghz_5.qasm", ("--noise", "depolarizing:0.02")),
)


def demo() -> int:
    """Runs everything; the exit code is that of the first command that fails."""
    # Relative paths read better in what is printed.
    os.chdir(EXAMPLES.parent)
    commands = [["run", f"examples/{name}", "--seed", "7", *options] for name, options in RUNS]
    commands.append(["compare", "examples/grover_4.qasm", "--shots", "4096", "--seed", "7"])
    commands.append(["results", "list"])
    for command in commands:
        shown = " ".join(f'"{word}"' if " " in word else word for word in command)
        print(f"\n$ proxima {shown}\n", flush=True)
        if code := main(command):
            return code
    return 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="proxima-demo-") as home:
        os.environ.setdefault("PROXIMA_HOME", home)
        sys.exit(demo())
