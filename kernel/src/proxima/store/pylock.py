"""The wheels that one version of a plugin is made of, as ``pylock.toml`` (PyPA's specification, lock version 1.0)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from proxima.errors import StorageError
from proxima.storage import storage_error


@dataclass(frozen=True, slots=True)
class Pinned:
    """One wheel.

    Attributes:
        name: The distribution's normalised name.
        url: Where it is from: ``https:``, or ``file:`` with an absolute path.
        sha256: In hexadecimal; empty until it is fetched, where the index does not tell.
    """

    name: str
    version: str
    url: str
    sha256: str = ""

    def __post_init__(self) -> None:
        """Hash and file name become parts of paths.

        Raises:
            ValueError: One of them is none.
        """
        if self.sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.name}: {self.sha256!r:.80} is not a sha256")
        if not re.fullmatch(r"[A-Za-z0-9_.!+~-]{1,250}\.whl", self.file_name):
            raise ValueError(f"{self.name}: {self.file_name!r:.80} is not the name of a wheel")

    @property
    def file_name(self) -> str:
        """The wheel's own name."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def path(self) -> str:
        """Where the wheel lies on this machine; empty where it has to be fetched."""
        parts = urlsplit(self.url)
        return unquote(parts.path) if parts.scheme == "file" else ""


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(pins: Iterable[Pinned]) -> str:
    """A sha256 over what the wheels are, wherever they come from: the same for the same closure."""
    lines = sorted(f"{pin.name} {pin.version} {pin.sha256}\n" for pin in pins)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def pylock_text(pins: Iterable[Pinned]) -> str:
    """The file; user names and passwords in addresses stay out of it."""
    lines = ['lock-version = "1.0"', 'created-by = "proxima"']
    for pin in sorted(pins, key=lambda pin: pin.name):
        parts = urlsplit(pin.url)
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        lines += ["", "[[packages]]", f"name = {json.dumps(pin.name)}", f"version = {json.dumps(pin.version)}"]
        wheel = f"name = {json.dumps(pin.file_name)}, url = {json.dumps(url)}"
        lines.append(f'wheels = [{{ {wheel}, hashes = {{ sha256 = "{pin.sha256}" }} }}]')
    return "\n".join(lines) + "\n"


def read_pylock(path: str) -> list[Pinned]:
    """The wheels of a ``pylock.toml`` that `pylock_text` wrote.

    Raises:
        StorageError: It cannot be read, or is something else.
    """
    import tomllib

    try:
        with open(path, "rb") as file:
            return parse_pylock(tomllib.load(file), os.path.dirname(path))
    except OSError as error:
        raise storage_error("read", path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} is not a lock of wheels: {error}") from error


def parse_pylock(data: dict[str, object], base: str = "/") -> list[Pinned]:
    """The wheels of a lock, one for each package; of several the one that suits this interpreter best.

    Args:
        data: The parsed file.
        base: What paths in it are relative to.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is not such a lock, or a package has no wheel.
    """
    pins = []
    for package in data.get("packages", ()):  # type: ignore[attr-defined]
        wheels = [package["archive"]] if "archive" in package else package.get("wheels", [])
        found = [
            Pinned(normalised(package["name"]), str(package["version"]), url, wheel.get("hashes", {}).get("sha256", ""))
            for wheel in wheels
            if (url := wheel.get("url") or f"file://{os.path.join(base, wheel['path'])}").endswith(".whl")
        ]
        if not found:
            raise ValueError(f"{package['name']} has no wheel")
        pins.append(found[0] if len(found) == 1 else min(found, key=_rank))
    return pins


def _rank(pin: Pinned) -> int:
    """How well a wheel suits this interpreter: the place of its best tag, the smaller the better."""
    from packaging.tags import sys_tags
    from packaging.utils import parse_wheel_filename

    wanted = parse_wheel_filename(pin.file_name)[3]
    return next((place for place, tag in enumerate(sys_tags()) if tag in wanted), 1 << 30)
