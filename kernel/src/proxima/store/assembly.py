"""Makes import roots of links to unpacked wheels and compiles those that are new; a program of its own.

Run as ``python -I -S -B -X utf8 assembly.py =ROOT TREE... =ROOT TREE...``, where each tree has a ``+`` before its path
if it is new, else a ``-``. The first line that it prints is empty once every link is there, else it tells what went
wrong: the number of the error, and the path. It leads a group of processes, which ends with the parent: its standard
input is a pipe that the parent holds.

In a process of its own, so that it links while its parent does something else, and because a hostile file can bring a
compiler down; a file that does not compile stays as it is. Nothing of Proxima is imported, which would take longer.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys

_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)


def main(arguments: list[str]) -> int:
    """Makes them; of files that two trees have, the first tree's is taken."""
    _end_with_parent()
    root, new = "", []
    try:
        for argument in arguments:
            sign, path = argument[0], argument[1:]
            if sign == "=":
                root = path
                os.mkdir(root, 0o755)
                continue
            _link(path, root)
            if sign == "+":
                new.append((path, root))
    except OSError as error:
        print(error.errno or 0, error.filename2 or error.filename, flush=True)
        return 1
    print(flush=True)
    _compile(new)
    return 0


def _end_with_parent() -> None:
    """The end of the pipe is a SIGIO, which ends whoever gets it."""
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    try:
        os.read(0, 1)
    except BlockingIOError:
        return
    os._exit(1)  # it has ended already


def _link(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            path = f"{target}/{entry.name}"
            is_directory = entry.is_dir(follow_symlinks=False)
            try:
                if is_directory:
                    os.mkdir(path, 0o755)
                else:
                    _link_file(entry.path, path)
            except FileExistsError:
                if os.path.isdir(path) != is_directory:
                    raise
            if is_directory:
                _link(entry.path, path)


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        import shutil

        shutil.copy2(source, target)


def _compile(trees: list[tuple[str, str]]) -> None:
    """A worker may not write bytecode and would need it anew each time. It is not compared with its source again, since
    neither is ever changed.
    """
    if not trees:
        return
    import re
    from compileall import compile_dir
    from py_compile import PycInvalidationMode

    for tree, root in trees:
        os.chdir(tree)  # what is left out is looked for in paths from here on
        compile_dir(
            ".",
            quiet=2,
            rx=re.compile("/tests?/"),
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            workers=0 if len(trees) > 1 else 1,
        )
        _link(tree, root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
