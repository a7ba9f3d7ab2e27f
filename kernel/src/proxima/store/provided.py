"""Wheels that hold metadata alone, to tell a resolver of what a plugin finds here and must not bring itself."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from collections.abc import Mapping

from proxima.errors import StorageError
from proxima.paths import Paths
from proxima.storage import storage_error
from proxima.store.layout import names_in
from proxima.store.pylock import normalised

HOST_DISTRIBUTIONS = ("proxima-kernel", "proxima-plugin-sdk", "pluggy", "msgpack")
"""What a worker has from the host, always; of numpy a plugin may bring its own."""


def provided_versions(store: str, *, trusted: bool) -> dict[str, str]:
    """Name to version of the distributions that a plugin finds here.

    Args:
        store: The store's directory; what a plugin of it has brought to this process is no other's.
        trusted: It runs in-process, where every installed distribution is in place before its own.
    """
    if trusted:
        import importlib.metadata

        path = [each for each in sys.path if not each.startswith(f"{store}/")]
        found = ((each.metadata["Name"], each.version) for each in importlib.metadata.distributions(path=path))
        return {normalised(name): version for name, version in reversed(list(found)) if name}
    versions: dict[str, str] = {}
    for base in sys.path:  # by the names of their directories: importlib.metadata takes longer than all of this
        for entry in names_in(base) if os.path.isdir(base) else ():
            name, _, version = entry.removesuffix(".dist-info").partition("-")
            if entry.endswith(".dist-info") and normalised(name) in HOST_DISTRIBUTIONS:
                versions.setdefault(normalised(name), version)
    return versions


def provided_wheels(versions: Mapping[str, str], directory: str) -> dict[str, str]:
    """Name to path of one such wheel for each version, made in a directory where it is not there yet."""
    Paths.ensure(directory)
    wheels = {}
    for name, version in versions.items():
        written = name.replace("-", "_")
        path = os.path.join(directory, f"{written}-{version}-py3-none-any.whl")
        if not os.path.exists(path):
            _write(path, name, written, version)
        wheels[name] = path
    return wheels


def _write(path: str, name: str, written: str, version: str) -> None:
    info = f"{written}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: proxima\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{each},sha256={_hash(text)},{len(text)}\n" for each, text in files.items()]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    import zipfile

    temporary = f"{path}.{os.getpid()}"
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            for each, text in files.items():
                archive.writestr(zipfile.ZipInfo(each), text)
        os.replace(temporary, path)
    except OSError as error:
        raise storage_error("write", path, error) from error
    except ValueError as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
