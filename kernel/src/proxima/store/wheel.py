"""`WheelFile`: one wheel, read without trusting it, and unpacked only where everything about it holds.

The format is that of the PyPA's binary distribution specification; the rules that go beyond it are in `border`.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from email import message_from_bytes
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from proxima.errors import ManifestError, StorageError
from proxima.plugins.manifest import Manifest
from proxima.plugins.scan import MANIFEST_NAME, MAX_FILE_BYTES, entry_points
from proxima.store.archive import Archive, ArchiveLimits, is_executable
from proxima.store.problems import Problem, WheelError

if TYPE_CHECKING:
    from email.message import Message

    from packaging.requirements import Requirement

UNPACKED_SCHEMES = ("purelib", "platlib")
LEFT_OUT_SCHEMES = ("data", "headers", "scripts")

_CHANGELOG = re.compile(r"(?:[^/]+|[^/]+\.dist-info/[^/]+)/CHANGELOG[^/]*")
_CHANGELOG_CHARACTERS = 100_000
_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")


class Recorded(NamedTuple):
    """What RECORD says of one file: its SHA-256 in hexadecimal digits, empty where it gives none, and its size."""

    sha256: str
    size: int | None


class WheelFile:
    """A wheel.

    Attributes:
        path: Where it lies.
        name: The distribution's normalised name, from the file's name.
        version: Its version, likewise.
        tags: The compatibility tags of the file's name, e.g. ``py3-none-any``.
        info: The name of its ``.dist-info`` directory.
        metadata: The headers of METADATA; the description is its payload.
        record: Entry to what RECORD says of it.
        entry_points: ``(id, target)`` of the plugins that it holds, as discovery reads them.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.path = archive.path
        self.name, self.version, self.tags = self._parse_name()
        self.info = self._find_info()
        self.metadata: Message = message_from_bytes(self._metadata_file("METADATA"))
        self.wheel: Message = message_from_bytes(self._metadata_file("WHEEL"))
        self.record = self._read_record()
        points = f"{self.info}/entry_points.txt"
        try:
            text = archive.read(points).decode() if points in archive.files else ""
        except UnicodeDecodeError:
            raise archive.refused("metadata", "is not UTF-8 text", points) from None
        self.entry_points = entry_points(text)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, limits: ArchiveLimits | None = None) -> Self:
        """Reads the metadata of a wheel; to be closed, or used in a ``with`` statement.

        Raises:
            WheelError: It is not a wheel, or lacks what says which one it is. What else is wrong, `problems` tells.
            StorageError: It cannot be read.
        """
        archive = Archive(os.fspath(path), limits)
        try:
            return cls(archive)
        except BaseException:
            archive.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self.archive.close()

    @cached_property
    def requires(self) -> list[Requirement]:
        """What it depends on.

        Raises:
            WheelError: A requirement cannot be read.
        """
        from packaging.requirements import InvalidRequirement, Requirement

        requirements = []
        for text in self.metadata.get_all("Requires-Dist") or []:
            try:
                requirements.append(Requirement(str(text)))
            except InvalidRequirement as error:
                where = f"{self.info}/METADATA"
                raise self.archive.refused("requirement", f"Requires-Dist: {text}: {error}", where) from None
        return requirements

    @property
    def is_plugin(self) -> bool:
        """Whether it holds a plugin."""
        return bool(self.entry_points)

    @property
    def manifest_entry(self) -> str:
        """Where discovery looks for the compiled manifest of its plugin."""
        return f"{self.entry_points[0][1].partition(':')[0].partition('.')[0]}/{MANIFEST_NAME}"

    @cached_property
    def raw_manifest(self) -> Any:
        """The compiled manifest as JSON has it, whatever that is.

        Raises:
            ManifestError: It is missing, too large or not JSON.
        """
        entries = {self.place_of(name): name for name in self.archive.files}
        source = f"{self.path}: {self.manifest_entry}"
        if self.manifest_entry not in entries:
            hint = "compile plugin.yaml and build again: `proxima plugin build` does both"
            raise ManifestError(f"{source}: the compiled manifest is not in the wheel", hint=hint)
        content = self.archive.read(entries[self.manifest_entry])
        if len(content) > MAX_FILE_BYTES:
            raise ManifestError(f"{source}: larger than {MAX_FILE_BYTES} bytes")
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{source}: not JSON: {error}") from None

    @cached_property
    def manifest(self) -> Manifest | None:
        """The compiled manifest of the plugin that it holds; ``None`` where it holds none.

        Raises:
            ManifestError: It is missing, or has a wrong field.
        """
        if not self.is_plugin:
            return None
        return Manifest.from_dict(self.raw_manifest, source=f"{self.path}: {self.manifest_entry}")

    @property
    def changelog(self) -> str:
        """Its author's account of changes, ``CHANGELOG*`` beside the manifest or with the metadata; or empty."""
        places = {self.place_of(name) or "": name for name in self.archive.files}
        found = sorted((place.count("/"), place) for place in places if _CHANGELOG.fullmatch(place))
        text = self.archive.read(places[found[0][1]]).decode(errors="replace") if found else ""
        return text[:_CHANGELOG_CHARACTERS]

    def problems(self, *, contents: bool = False) -> list[Problem]:
        """What keeps it out, and notes on what is left out of it when it is unpacked.

        Args:
            contents: Also read every file, to compare it with RECORD. `unpack` does so in any case.
        """
        from proxima.store.border import judge

        found = [*self.archive.problems, *judge(self)]
        if contents:
            try:
                for name, chunks in self.archive.contents():
                    self._compare(name, chunks, lambda chunk: None)
            except WheelError as error:
                found += error.problems
        return found

    def check(self) -> list[Problem]:
        """The notes of a wheel that nothing keeps out.

        Raises:
            WheelError: Something does.
        """
        found = self.problems()
        errors = [problem for problem in found if problem.level == "error"]
        if errors:
            raise WheelError(self.path, errors)
        return found

    def place_of(self, name: str) -> str | None:
        """Where an entry is unpacked to, relative to the import root; ``None`` for what is left out."""
        top, _, place = name.partition("/")
        if not top.endswith(".data"):
            place = name
        else:
            scheme, _, place = place.partition("/")
            if scheme not in UNPACKED_SCHEMES:
                return None
        return None if not place or ("/" not in place and place.endswith(".pth")) else place

    def unpack(self, directory: str | os.PathLike[str], progress: Callable[[int, int], object] | None = None) -> int:
        """Unpacks what is imported, and the metadata, into a new directory; files become read-only.

        Every file is compared with RECORD while it is written. Nothing is flushed to the disk: whoever makes the
        directory known does that once.

        Args:
            directory: Must not exist; its parent must.
            progress: Called with the number of files that are done and of all.

        Returns:
            The number of bytes written.

        Raises:
            WheelError: Something keeps it out; the directory is removed again.
            StorageError: It cannot be written; likewise.
        """
        self.check()
        root = os.fspath(directory)
        try:
            os.mkdir(root, 0o755)
        except OSError as error:
            raise StorageError(f"cannot make the directory {root}: {error.strerror}") from error
        try:
            return self._write(root, progress or (lambda done, of: None))
        except BaseException as error:
            shutil.rmtree(root, ignore_errors=True)
            if isinstance(error, OSError) and not isinstance(error, StorageError):
                raise StorageError(f"cannot unpack {self.path} into {root}: {error.strerror}") from error
            raise

    def _write(self, root: str, progress: Callable[[int, int], object]) -> int:
        total, made = 0, {root}
        for number, (name, chunks) in enumerate(self.archive.contents()):
            progress(number, len(self.archive.files))
            place = self.place_of(name)
            if place is None:
                continue
            path = os.path.join(root, *place.split("/"))
            if (parent := os.path.dirname(path)) not in made:
                os.makedirs(parent, 0o755, exist_ok=True)
                made.add(parent)
            mode = 0o555 if is_executable(self.archive.files[name]) else 0o444
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
            with open(descriptor, "wb") as file:
                total += self._compare(name, chunks, file.write)
        progress(len(self.archive.files), len(self.archive.files))
        return total

    def _compare(self, name: str, chunks: Iterator[bytes], write: Callable[[bytes], object]) -> int:
        """Passes a file on piece by piece; at its end its size and hash must be those of RECORD."""
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            write(chunk)
        recorded = self.record.get(name)
        if recorded is not None and recorded.sha256:
            hint = "the file was changed after the wheel was made: get it again from where it is published"
            if digest.hexdigest() != recorded.sha256:
                raise self.archive.refused("record-hash", "differs from the hash in RECORD", name, hint)
            if recorded.size is not None and recorded.size != size:
                raise self.archive.refused("record-size", f"RECORD says {recorded.size:,} bytes", name, hint)
        return size

    def _parse_name(self) -> tuple[str, str, frozenset[str]]:
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename

        try:
            name, version, _, tags = parse_wheel_filename(os.path.basename(self.path))
        except InvalidWheelFilename as error:
            hint = "a wheel is called NAME-VERSION-PYTHON-ABI-PLATFORM.whl; give it the name that it was built with"
            raise self.archive.refused("file-name", f"is not the name of a wheel: {error}", hint=hint) from None
        return str(name), str(version), frozenset(map(str, tags))

    def _find_info(self) -> str:
        tops = {name.partition("/")[0] for name in self.archive.files if "/" in name}
        found = sorted(top for top in tops if top.endswith(".dist-info"))
        if len(found) != 1:
            held = f"holds {' and '.join(found)}" if found else "holds no .dist-info directory"
            raise self.archive.refused("dist-info", f"{held}; a wheel has one")
        return found[0]

    def _metadata_file(self, name: str) -> bytes:
        entry = f"{self.info}/{name}"
        if entry not in self.archive.files:
            hint = "it is not a wheel, or was made by hand: build it with a build backend"
            raise self.archive.refused("metadata", f"{name} is missing", entry, hint)
        return self.archive.read(entry)

    def _read_record(self) -> dict[str, Recorded]:
        content, rows = self._metadata_file("RECORD"), {}
        try:
            for row in csv.reader(content.decode().splitlines()):
                if not row:
                    continue
                name, digest, size = row
                if name in rows:
                    raise ValueError(f"{name} is listed twice")
                rows[name] = Recorded(_sha256(name, digest), int(size) if size else None)
        except (ValueError, csv.Error) as error:
            raise self.archive.refused("record", f"cannot be read: {error}", f"{self.info}/RECORD") from None
        return rows

    def is_unrecorded(self, name: str) -> bool:
        """Whether a file is one that RECORD cannot vouch for: itself and its signatures."""
        return name.startswith(f"{self.info}/") and name.removeprefix(f"{self.info}/") in _UNRECORDED


def _sha256(name: str, digest: str) -> str:
    """The hexadecimal digits of ``sha256=BASE64``; empty where RECORD gives no hash."""
    if not digest:
        return ""
    algorithm, _, value = digest.partition("=")
    if algorithm != "sha256":
        raise ValueError(f"{name} has a {algorithm:.20} hash; only sha256 is accepted")
    decoded = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    if len(decoded) != hashlib.sha256().digest_size:
        raise ValueError(f"{name} has a hash of {len(decoded)} bytes, not 32")
    return decoded.hex()
