"""`Archive`: a zip file from anywhere, whose names are judged before use and whose bytes are counted while read.

What a zip file says of its own sizes is only a claim, so nothing here relies on it.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from proxima.errors import StorageError
from proxima.store.problems import Problem, WheelError

_CHUNK = 1 << 20
_END = struct.Struct("<4s4H2LH")  # the end of central directory record
_END64_MARK = b"PK\x06\x07"
_ENTRY_BYTES = 200  # of the table of contents, on average; 46 and the name
_DEPTH = 40  # directories; far more than wheels have
_ENCRYPTED = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")
_BROKEN = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)


class ArchiveLimits(NamedTuple):
    """What is read of an archive at most.

    Attributes:
        file_bytes: Size of the file; what the zip format holds without its 64-bit extension.
        entries: Number of files and directories.
        unpacked_bytes: Size of all files together.
        ratio: Unpacked to packed size, beyond the first ``free_bytes``.
        metadata_bytes: Size of one metadata file.
    """

    file_bytes: int = (1 << 32) - 2
    entries: int = 50_000
    unpacked_bytes: int = 8 << 30
    ratio: int = 100
    free_bytes: int = 16 << 20
    metadata_bytes: int = 16 << 20


class Archive:
    """An open zip file.

    Attributes:
        path: Where it lies, as messages name it.
        files: Name to entry of every regular file, as far as its name is fit to be used.
        problems: Entries that are not.
    """

    def __init__(self, path: str, limits: ArchiveLimits | None = None) -> None:
        """Reads the table of contents.

        Raises:
            WheelError: It is not a zip file, or larger than the limits.
            StorageError: It cannot be read.
        """
        self.path = path
        self.limits = limits or ArchiveLimits()
        try:
            self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - `close` does
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        try:
            self._packed = self._checked_size()
            self._zip = zipfile.ZipFile(self._file)
            entries = self._zip.infolist()
            if len(entries) > self.limits.entries:  # the count in front of them was only a claim
                raise self.refused("too-many", f"holds more than {self.limits.entries:,} entries")
            self.files, self.problems = _judged(entries)
        except BaseException as error:
            self.close()
            if isinstance(error, _BROKEN) and not isinstance(error, WheelError):  # which is a ValueError too
                raise self.refused("not-a-zip", f"is not a zip file that can be read: {error}") from None
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def refused(self, code: str, message: str, where: str = "", hint: str = "") -> WheelError:
        """An error about this archive."""
        return WheelError(self.path, [Problem(code, message, where, hint=hint)])

    def read(self, name: str) -> bytes:
        """The content of a small file.

        Raises:
            WheelError: It is larger than a metadata file may be, or damaged.
        """
        content = bytearray()
        for chunk in self._chunks(name):
            content += chunk
            if len(content) > self.limits.metadata_bytes:
                raise self.refused("too-large", f"holds more than {self.limits.metadata_bytes:,} bytes", name)
        return bytes(content)

    def contents(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Every file with its content in pieces, all of which count towards the limits.

        Raises:
            WheelError: A file is damaged, or a limit is passed.
        """
        meter = _Meter(self)
        for name in self.files:
            yield name, meter.counted(name, self._chunks(name))

    def _chunks(self, name: str) -> Iterator[bytes]:
        try:
            with self._zip.open(self.files[name]) as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except _BROKEN as error:
            hint = "download or build the wheel again"
            raise self.refused("damaged", f"cannot be unpacked: {error}", name, hint) from None
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error.strerror}") from error

    def _checked_size(self) -> int:
        """The file's size; its table of contents must stand at its very end and be no larger than it has to.

        A comment, bytes behind the table or its 64-bit form let two programs see two different archives in one file,
        and a table of millions of entries fills the memory before anything could count them.
        """
        status = os.fstat(self._file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise self.refused("not-a-zip", "is not a regular file")
        if status.st_size > self.limits.file_bytes:
            raise self.refused("too-large", f"is larger than {self.limits.file_bytes:,} bytes")
        before = min(20, max(status.st_size - _END.size, 0))
        self._file.seek(-min(_END.size + before, status.st_size), os.SEEK_END)
        tail = self._file.read()
        if len(tail) < _END.size:
            raise self.refused("not-a-zip", "is too short for a zip file")
        mark, *_, entries, size, offset, comment = _END.unpack(tail[-_END.size :])
        if mark != b"PK\x05\x06" or comment or tail.startswith(_END64_MARK):
            raise self.refused("not-a-zip", "is not a zip file that ends with a plain table of contents")
        if offset + size + _END.size != status.st_size:
            raise self.refused("not-a-zip", "holds bytes before or behind the zip file")
        if entries > self.limits.entries or size > self.limits.entries * _ENTRY_BYTES:
            raise self.refused("too-many", f"holds more than {self.limits.entries:,} entries")
        return status.st_size


class _Meter:
    """Counts what was unpacked of one archive in one pass."""

    def __init__(self, archive: Archive) -> None:
        limits, self._archive, self._total = archive.limits, archive, 0
        self._most = min(limits.unpacked_bytes, limits.free_bytes + limits.ratio * archive._packed)

    def counted(self, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._total += len(chunk)
            if self._total > self._most:
                message = f"unpacks to more than {self._most:,} bytes, from a file of {self._archive._packed:,}"
                raise self._archive.refused("bomb", message, name, "a zip bomb, or a wheel that is not meant for this")
            yield chunk


def _judged(entries: list[zipfile.ZipInfo]) -> tuple[dict[str, zipfile.ZipInfo], list[Problem]]:
    files: dict[str, zipfile.ZipInfo] = {}
    problems = []
    taken: dict[str, str] = {}  # as a file system that ignores case would have it
    for entry in entries:
        # `filename` ends at the first NUL and has the system's separators; this is what the file says.
        name = entry.orig_filename
        wrong = _wrong_name(name) or _wrong_entry(entry)
        if not wrong and not name.endswith("/"):
            folded = unicodedata.normalize("NFC", name).casefold()
            if folded in taken:
                wrong = "duplicate", f"occurs twice: it is the same file as {taken[folded]!r}"
            else:
                taken[folded] = name
                files[name] = entry
        if wrong:
            problems.append(_problem(name, *wrong))
    above = ""
    for path in sorted(f"{folded}/".replace("/", "\0") for folded in taken):  # what is in a directory follows it
        if above and path.startswith(above):
            name = taken[path[:-1].replace("\0", "/")]
            problems.append(_problem(name, "duplicate", "is a file and a directory at once"))
            del files[name]
        else:
            above = path
    return files, problems


def _problem(name: str, code: str, message: str) -> Problem:
    return Problem(code, message, repr(name)[1:-1], hint="build the wheel anew; unpack it nowhere")


def _wrong_name(name: str) -> tuple[str, str] | None:
    if not name.isprintable() or len(name) > 1000:
        return "name", "has characters that cannot be shown, or is too long"
    if "\\" in name or _DRIVE.match(name):
        return "name", "is a Windows path; an entry's parts are joined by /"
    if name.startswith("/"):
        return "name", "is an absolute path"
    parts = name.removesuffix("/").split("/", _DEPTH + 1)
    if len(parts) > _DEPTH + 1:
        return "name", f"lies more than {_DEPTH} directories deep"
    if ".." in parts:
        return "name", "leads out of the directory that it is unpacked to"
    if "" in parts or "." in parts or any(len(part.encode()) > 255 for part in parts):
        return "name", "is not a path in its shortest form"
    return None


def _wrong_entry(entry: zipfile.ZipInfo) -> tuple[str, str] | None:
    mode = entry.external_attr >> 16
    kind, is_directory = stat.S_IFMT(mode), entry.filename.endswith("/")
    if kind == stat.S_IFLNK:
        return "mode", "is a symbolic link"
    if kind not in (0, stat.S_IFDIR if is_directory else stat.S_IFREG):
        return "mode", f"is no regular file (mode {mode:o})"
    if mode & 0o7000 and not is_directory:
        return "mode", f"would run as another user (mode {mode:o})"
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packing", "is encrypted, or packed in a way that wheels are not"
    return None


def is_executable(entry: zipfile.ZipInfo) -> bool:
    """Whether the archive marks a file as a program."""
    return bool(entry.external_attr >> 16 & 0o111)
