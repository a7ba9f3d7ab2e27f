"""Writes wheels and source distributions anew, so that the same files make the same bytes, whatever the build backend.

What varies otherwise: the order of entries, times, modes from the umask, owners, and the packer's own header.
"""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

from proxima.errors import UsageError

EARLIEST = 315532800
"""1980-01-01T00:00:00Z in seconds: a zip file knows no earlier time."""


def source_date(project: Path) -> int:
    """The time that files get: ``SOURCE_DATE_EPOCH``, else that of the project's last commit, else a fixed one.

    Raises:
        UsageError: ``SOURCE_DATE_EPOCH`` is not a number of seconds.
    """
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not said:
        git = ["git", "-C", str(project), "log", "-1", "--format=%ct", "--", "."]
        try:
            said = subprocess.run(git, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):  # without git, or without an answer, the fixed time serves
            said = ""
        said = said or str(EARLIEST)
    if not said.isascii() or not said.isdigit() or int(said) > 1 << 32:
        raise UsageError(f"SOURCE_DATE_EPOCH: expected seconds since 1970, got {said!r}")
    return max(int(said), EARLIEST)


def rewrite_wheel(path: Path, epoch: int) -> None:
    """Writes a wheel anew: its metadata last, as the wheel format recommends, and RECORD at the very end."""
    temporary = path.with_suffix(".tmp")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist(), key=lambda name: (".dist-info/" in name, name.endswith("/RECORD"), name)):
            if name.endswith("/"):
                continue
            entry = zipfile.ZipInfo(name, time.gmtime(epoch)[:6])
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | _mode(old.getinfo(name).external_attr >> 16)) << 16
            new.writestr(entry, old.read(name))
    os.replace(temporary, path)


def rewrite_sdist(path: Path, epoch: int) -> None:
    """Writes a ``.tar.gz`` anew."""
    temporary = path.with_suffix(".tmp")
    with (
        tarfile.open(path) as old,
        open(temporary, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=epoch) as packed,  # whose header names neither file nor hour
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            if member.isfile():  # directories make themselves
                entry = tarfile.TarInfo(member.name)
                entry.size, entry.mtime, entry.mode = member.size, epoch, _mode(member.mode)
                new.addfile(entry, old.extractfile(member))
    os.replace(temporary, path)


def _mode(mode: int) -> int:
    return 0o755 if mode & 0o100 else 0o644
