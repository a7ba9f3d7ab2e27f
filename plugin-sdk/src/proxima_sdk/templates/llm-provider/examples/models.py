"""Lists the models of the default address, where something serves there."""

from pathlib import Path

from proxima.errors import UnavailableError
from proxima_sdk.testing import open_kernel

with open_kernel(Path(__file__).parents[1]) as kernel:
    try:
        print(*kernel.get("llm_providers", "my-plugin").models(), sep="\n")
    except UnavailableError as error:
        print(f"{error} ({error.hint})")
