"""Makes an import root of unpacked wheels, and compiles those of them that are new.

Run as ``python -I -S linking.py SITE TREE... -- NEW_TREE...``, in a process of its own: beside what else takes time,
and because a hostile file can bring a compiler down. It says ``linked``, or an error's number and file.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Sequence

LINKED = b"linked"

_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)


def main(arguments: list[str]) -> int:
    """Links, says so, and compiles."""
    site, *rest = arguments
    at = rest.index("--")
    trees, new = rest[:at], rest[at + 1 :]
    try:
        link_site(trees, site)
    except OSError as error:
        sys.stdout.buffer.write(f"{error.errno} {error.filename2 or error.filename}".encode())
        return 1
    sys.stdout.buffer.write(LINKED)
    sys.stdout.flush()
    compile_trees(new)
    return 0


def link_site(trees: Sequence[str], site: str) -> None:
    """Of files that two trees have, the first one's is taken; with an empty ``site`` nothing is done.

    Raises:
        OSError: The disk is full or read-only, or two trees have a file and a directory of one name.
    """
    if site:
        os.mkdir(site, 0o755)
        for tree in trees:
            link(tree, site)


def link(source: str, target: str) -> None:
    """Links the files of one directory to another that is there."""
    with os.scandir(source) as entries:
        for entry in entries:
            path = f"{target}/{entry.name}"
            try:
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(path, 0o755)
                else:
                    _link_file(entry.path, path)
            except FileExistsError:
                if os.path.isdir(path) != entry.is_dir(follow_symlinks=False):
                    raise
            if entry.is_dir(follow_symlinks=False):
                link(entry.path, path)


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(source, target)


def compile_trees(trees: Sequence[str]) -> None:
    """Bytecode that is not compared with its source again, since neither is ever changed.

    A file that does not compile stays as it is.
    """
    if not trees:
        return
    import compileall
    from py_compile import PycInvalidationMode

    for tree in trees:
        compileall.compile_dir(
            tree,
            quiet=2,
            rx=re.compile("/tests?/"),
            workers=0 if len(trees) > 1 else 1,
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
