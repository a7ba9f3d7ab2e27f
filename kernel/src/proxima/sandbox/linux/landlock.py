"""Landlock: the files this process may open from now on; everything not named is refused.

Source: Linux `Documentation/userspace-api/landlock.rst`; constants from `include/uapi/linux/landlock.h`.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping

from proxima.sandbox.linux.script import Script
from proxima.sandbox.linux.syscalls import call

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15

READ = READ_FILE | READ_DIR
# No MAKE_SYM: a link that the plugin leaves behind is one that somebody else may follow.
WRITE = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV

_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 7: 16, 8: 16, 9: 17}  # ABI: how many file rights it has
_TCP = 0b11  # bind, connect (ABI 4)
_SCOPES = 0b11  # abstract unix sockets, signals (ABI 6)
_CREATE_VERSION = 1
_RULE_PATH_BENEATH = 1
_LOG_SAME_EXEC_OFF = 1  # ABI 7: a plugin must not be able to fill the host's audit log


_RULESET = struct.Struct("<QQQ")  # rights to files, to the network, scopes
_PATH_BENEATH = struct.Struct("<Qi")  # rights, parent


def abi() -> int:
    """The Landlock version of the running kernel; 0 where it has none or it is turned off."""
    try:
        return call("landlock_create_ruleset", None, 0, _CREATE_VERSION)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def handled_rights(version: int) -> int:
    """Every file right that a Landlock version can refuse, as bits."""
    return (1 << _FS_BITS[min(version, max(_FS_BITS))]) - 1


def restrict(script: Script, rules: Mapping[str, int], *, version: int) -> None:
    """Refuse this thread and what it starts every file right except what the rules give; there is no way back.

    All TCP is refused from version 4 on, signals to and abstract sockets of processes outside from version 6 on.

    Args:
        script: Where it is written.
        rules: Absolute path without symbolic links to rights; they hold for everything beneath a directory.
        version: Which of the kernel's features to use, at most `abi()`.
    """
    handled = handled_rights(version)
    attributes = _RULESET.pack(handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = script.opens("landlock_create_ruleset", attributes, size, 0)
    for path, rights in rules.items():
        parent = script.open_without_links(path)
        allowed = (rights if os.path.isdir(path) else rights & _ON_FILES) & handled
        beneath = _PATH_BENEATH.pack(allowed, parent)
        script.call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, beneath, 0, about=path)
        script.close(parent)
    script.call("landlock_restrict_self", ruleset, _LOG_SAME_EXEC_OFF if version >= 7 else 0)
    script.close(ruleset)
