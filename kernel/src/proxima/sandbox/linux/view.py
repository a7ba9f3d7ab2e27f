"""The files a worker sees: its policy's paths and the little of the system that Python and numerical libraries need."""

from __future__ import annotations

import functools
import glob
import os
from typing import NamedTuple

from proxima.sandbox.linux import landlock
from proxima.sandbox.policy import SandboxPolicy, is_beneath

_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/nix/store")
_FACTS = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
_CERTIFICATES = (
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/usr/share/ca-certificates",
)
_PROGRAMS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/libexec", "/usr/share", "/usr/local/bin")
# Not /dev/zero: mapping it shares memory that no limit counts.
_DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")
_GPU_DEVICES = ("/dev/nvidia*", "/dev/dri", "/dev/kfd")
STAND = "/proc"
"""Where a root directory in the making stands: a directory in which no policy has a place."""

_GPU_FACTS = ("/proc/driver/nvidia", "/sys/class/drm", "/sys/class/kfd", "/sys/bus/pci")


class Place(NamedTuple):
    """A file or directory that the worker sees.

    Attributes:
        rights: Landlock's, for it and all beneath it.
        owned: It comes from the policy, so it must be there and belongs to who runs the kernel.
        device: It is a device node.
    """

    rights: int
    owned: bool = False
    device: bool = False

    @property
    def writable(self) -> bool:
        """Whether something beneath it can be changed, which for a device is up to its driver."""
        return not self.device and bool(self.rights & landlock.WRITE_FILE)


@functools.lru_cache(maxsize=1)  # found before a fork, it is there after it
def places(policy: SandboxPolicy) -> tuple[dict[str, Place], dict[str, str]]:
    """What a policy shows.

    Returns:
        Path without symbolic links to place, parents before what lies in them; and link to target, for the system
        directories that are reached by a link such as `/lib64`.
    """
    system, links = system_places(policy.subprocess, bool(policy.network), policy.gpu)
    found = dict(system)
    run = landlock.EXECUTE if policy.subprocess else 0
    for path in (*policy.read, *policy.import_paths):
        found[path] = Place(landlock.READ | run, owned=True)
    for path in policy.write:  # to read there, too, is a permission of its own
        readable = any(is_beneath(path, each) for each in policy.read)
        found[path] = Place(landlock.WRITE | (landlock.READ if readable else 0), owned=True)
    for path in policy.covered:
        readable = any(is_beneath(path, each) for each in (*policy.read, *policy.import_paths))
        found[path] = Place(landlock.READ | run if readable else 0, owned=True)
    found[policy.scratch] = Place(landlock.WRITE | landlock.READ, owned=True)
    return {path: found[path] for path in sorted(found) if not _covered(path, found)}, links


@functools.cache
def base_places() -> tuple[dict[str, Place], dict[str, str]]:
    """The part of `places` that is the same for almost every plugin, as `places` gives it."""
    found, links = system_places(False, False, False)
    return {path: found[path] for path in sorted(found) if not _covered(path, found)}, links


def beyond_base(policy: SandboxPolicy) -> dict[str, Place] | None:
    """What a policy shows beside `base_places`.

    ``None`` where those could not come first: it shows one otherwise, or what is above one, or what `STAND` hides.
    """
    shown, base = places(policy)[0], base_places()[0]
    beyond = {path: place for path, place in shown.items() if base.get(path) != place}
    if any(shown.get(path) != place for path, place in base.items()):
        return None
    hidden = any(is_beneath(path, STAND) or any(is_beneath(each, path) for each in base) for path in beyond)
    return None if hidden else beyond


@functools.cache
def system_places(programs: bool, network: bool, gpu: bool) -> tuple[dict[str, Place], dict[str, str]]:
    """The part of `places` that is the same for every plugin with these permissions; looked up once a process."""
    run = landlock.EXECUTE if programs else 0
    system: dict[str, Place] = dict.fromkeys(_LIBRARIES, Place(landlock.READ | run))
    facts = _FACTS + (_CERTIFICATES if network else ()) + (_GPU_FACTS if gpu else ())
    system.update(dict.fromkeys(facts, Place(landlock.READ)))
    if programs:
        system.update(dict.fromkeys(_PROGRAMS, Place(landlock.READ | run)))
    system.update(dict.fromkeys(_DEVICES, Place(landlock.DEVICE, device=True)))
    if gpu:
        for pattern in _GPU_DEVICES:
            device = Place(landlock.DEVICE | landlock.READ_DIR, device=True)
            system.update(dict.fromkeys(glob.glob(pattern), device))
    found: dict[str, Place] = {}
    links: dict[str, str] = {}
    for path, place in system.items():
        real = os.path.realpath(path)
        if not os.path.exists(real):
            continue
        if real != path:
            links[path] = real
        found[real] = place
    return found, links


def _covered(path: str, found: dict[str, Place]) -> bool:
    """Whether the nearest place above a path already shows it in the same way."""
    above = os.path.dirname(path)
    while above != "/" and above not in found:
        above = os.path.dirname(above)
    return above != "/" and found[above].rights == found[path].rights and is_beneath(path, above)
