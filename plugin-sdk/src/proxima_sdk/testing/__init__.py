"""A real kernel on a temporary home with the plugin under test in it: in this process, or in a real worker."""

from __future__ import annotations

from proxima_sdk.testing.kernel import GrantAll as GrantAll
from proxima_sdk.testing.kernel import open_kernel as open_kernel
from proxima_sdk.testing.placing import Placed as Placed
from proxima_sdk.testing.placing import place as place

__all__ = ["GrantAll", "Placed", "open_kernel", "place"]
