"""What this machine is and has: processors, memory, and a fingerprint that a calibration is tied to."""

from __future__ import annotations

import os
import platform
import sys


def processor_count() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping, within the process's control group; ``None`` where unknown."""
    limits = [n for n in (_memory_available(), _cgroup_headroom()) if n is not None]
    return min(limits) if limits else None


def _memory_available() -> int | None:
    try:
        with open("/proc/meminfo", "rb") as file:
            for line in file:
                if line.startswith(b"MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _cgroup_headroom(proc: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> int | None:
    """The limit less the usage of the innermost control group that has a limit, version 2 or 1."""
    try:
        with open(proc, encoding="ascii", errors="replace") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    headroom = []
    for _, controllers, path in (g for g in groups if len(g) == 3):
        if controllers == "":
            base, limit_name, usage_name = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit_name, usage_name = f"{root}/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # In a container the path is the host's and may not exist here; its own limits then stand at the root.
        parts = path.strip("/").split("/")
        for depth in range(len(parts), -1, -1):
            directory = "/".join((base, *parts[:depth]))
            limit, usage = _number(f"{directory}/{limit_name}"), _number(f"{directory}/{usage_name}")
            if limit is not None and usage is not None:
                headroom.append(max(limit - usage, 0))
    return min(headroom) if headroom else None


def _number(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            return int(file.read())
    except (OSError, ValueError):  # absent, or "max"
        return None


def peak_rss_bytes() -> int:
    """Peak resident memory of this process so far; 0 where the platform does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def describe_host() -> dict[str, str]:
    """The machine as a record keeps it."""
    from proxima import __version__

    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "processors": str(processor_count()),
        "python": platform.python_version(),
        "proxima": __version__,
    }


def fingerprint() -> dict[str, str]:
    """What a calibration depends on: another processor, or another number of them, makes it worthless."""
    return {
        "machine": platform.machine(),
        "processor": _processor_model(),
        "processors": str(processor_count()),
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def _processor_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(("model name", "CPU part")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor()
