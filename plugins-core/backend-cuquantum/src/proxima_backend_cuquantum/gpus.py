"""Which GPUs this machine has, as the drivers' own tools say: ``nvidia-smi`` and ``rocm-smi``."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

_NVIDIA = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class GPU:
    """One GPU of NVIDIA's; memory in bytes."""

    name: str
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        gpus: Of NVIDIA, in the driver's order.
        reason: Why there are none, in words; empty where there are.
    """

    gpus: tuple[GPU, ...]
    reason: str = ""


def find() -> Found:
    """Asks ``nvidia-smi``; where it finds none, says what there is instead."""
    if shutil.which("nvidia-smi") is None:
        return Found((), "there is no nvidia-smi, so no NVIDIA driver" + _others())
    told, trouble = _ask("nvidia-smi", *_NVIDIA)
    gpus = nvidia_gpus(told)
    if not gpus:
        return Found((), f"nvidia-smi finds no GPU{': ' + trouble if trouble else ''}" + _others())
    return Found(gpus)


def nvidia_gpus(text: str) -> tuple[GPU, ...]:
    """Reads ``nvidia-smi --query-gpu=name,memory.total,memory.free --format=csv,noheader,nounits``, in MiB.

    A line that is not such a one is left out: a GPU that another process holds says ``[N/A]``.
    """
    found = []
    for line in text.splitlines():
        name, *sizes = (part.strip() for part in line.rsplit(",", 2))
        if name and len(sizes) == 2 and all(size.isdigit() for size in sizes):
            total, free = (int(size) << 20 for size in sizes)
            found.append(GPU(name, total, free))
    return tuple(found)


def amd_names(text: str) -> tuple[str, ...]:
    """Reads the names of cards in what ``rocm-smi --showproductname`` prints."""
    lines = [line for line in text.splitlines() if "card series" in line.lower()]
    return tuple(line.rpartition(":")[2].strip() for line in lines)


def _others() -> str:
    """What else there is, to be added to the reason."""
    if shutil.which("rocm-smi") is None:
        return ""
    names = amd_names(_ask("rocm-smi", "--showproductname")[0])
    return f"; there is an AMD GPU ({', '.join(names)}), which cuQuantum does not run on" if names else ""


def _ask(*command: str) -> tuple[str, str]:
    """What a command prints, and what went wrong."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    trouble = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return (done.stdout, "") if done.returncode == 0 else ("", trouble[0] if trouble else f"exit {done.returncode}")
