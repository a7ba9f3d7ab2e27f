"""The command, called from Python."""

import argparse
from pathlib import Path

from proxima_sdk.testing import open_kernel

with open_kernel(Path(__file__).parents[1]) as kernel:
    command = kernel.get("commands", "my-plugin")
    parser = argparse.ArgumentParser(prog="proxima my-plugin")
    command.configure(parser)
    command.run(parser.parse_args([str(Path(__file__).with_name("bell.qasm")), "--runs", "5"]), kernel)
