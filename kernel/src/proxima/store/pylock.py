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
from proxima.store.addresses import file_address, path_of


@dataclass(frozen=True, slots=True)
class Pinned:
    """One wheel; made of what comes from outside, and so checked.

    Attributes:
        name: The distribution's normalised name.
        version: In its normal form.
        url: Where it is from: ``https:`` or ``http:``, or ``file:`` with an absolute path.
        sha256: In hexadecimal; empty until it is fetched, where the index does not tell.
    """

    name: str
    version: str
    url: str
    sha256: str = ""

    def __post_init__(self) -> None:
        """All of them become parts of paths or of what a resolver is asked.

        Raises:
            ValueError: One of them is not what it should be.
        """
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"{self.name!r:.80} is not the normalised name of a distribution")
        if normal_version(self.version) != self.version:
            raise ValueError(f"{self.name}: {self.version!r:.80} is not a version in its normal form")
        if self.sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.name}: {self.sha256!r:.80} is not a sha256")
        if urlsplit(self.url).scheme not in ("https", "http", "file"):
            raise ValueError(f"{self.name}: {self.url!r:.80} is fetched by neither https, http nor file")
        if not re.fullmatch(r"[A-Za-z0-9_.!+~-]{1,250}\.whl", self.file_name):
            raise ValueError(f"{self.name}: {self.file_name!r:.80} is not the name of a wheel")

    @classmethod
    def at(cls, url: str, sha256: str = "") -> Pinned:
        """The wheel at an address, which the file's name tells.

        Raises:
            ValueError: It does not.
        """
        from packaging.utils import parse_wheel_filename

        name, version, _, _ = parse_wheel_filename(_file_name(url))
        return cls(str(name), str(version), url, sha256)

    @property
    def file_name(self) -> str:
        """The wheel's own name."""
        return _file_name(self.url)

    @property
    def path(self) -> str:
        """Where the wheel lies on this machine; empty where it has to be fetched."""
        return path_of(self.url)


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def normal_version(version: str) -> str:
    """A version as ``packaging`` writes it.

    Raises:
        ValueError: It is none.
    """
    from packaging.version import Version

    return str(Version(version))


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
    if not isinstance(data["lock-version"], str):
        raise ValueError("lock-version is no text")
    for package in data.get("packages", ()):  # type: ignore[attr-defined]
        name, version = normalised(package["name"]), normal_version(package["version"])
        wheels = [package["archive"]] if "archive" in package else package.get("wheels", [])
        found = [
            Pinned(name, version, url, wheel.get("hashes", {}).get("sha256", ""))
            for wheel in wheels
            if (url := wheel.get("url") or file_address(os.path.join(base, wheel["path"]))).endswith(".whl")
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
