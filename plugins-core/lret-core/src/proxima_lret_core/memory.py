"""How much memory the machine has free."""

from __future__ import annotations

import os
from pathlib import Path


def available_bytes() -> int:
    """Bytes that can be taken without swapping, by the operating system's own account; on macOS all there is."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
