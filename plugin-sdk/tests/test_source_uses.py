"""What is read from a plugin's source: each use once, at its first line, and nothing that is not one."""

from __future__ import annotations

import pytest

from proxima_sdk.validate.source_uses import undeclared, uses


@pytest.mark.parametrize(
    ("source", "name", "permission"),
    [
        ("import socket", "socket", "network"),
        ("import requests as r", "requests", "network"),
        ("from urllib.request import urlopen", "urllib.request", "network"),
        ("from http import client", "http.client", "network"),
        ("import asyncio\nasyncio.open_connection('a', 1)", "asyncio.open_connection", "network"),
        ("import subprocess", "subprocess", "subprocess"),
        ("import os\nos.system('ls')", "os.system", "subprocess"),
        ("import os as o\no.execvp('a', [])", "os.execvp", "subprocess"),
        ("from os import popen as p\np('ls')", "os.popen", "subprocess"),
        ("def f():\n    import multiprocessing", "multiprocessing", "subprocess"),
        ("import sqlite3", "sqlite3", "file_write"),
        ("import shutil\nshutil.rmtree('x')", "shutil.rmtree", "file_write"),
        ("open('x')", "open()", "file_read"),
        ("open('x', 'rb')", "open()", "file_read"),
        ("open('x', mode='w')", "open()", "file_write"),
        ("open('x', 'r+')", "open()", "file_write"),
        ("open('x', how)", "open()", "file_read"),
        ("import io\nio.open('x', 'a')", "io.open()", "file_write"),
        ("from pathlib import Path\nPath('x').write_text('y')", "write_text()", "file_write"),
        ("from pathlib import Path\nPath('x').read_bytes()", "read_bytes()", "file_read"),
        ("import cupy", "cupy", "gpu"),
        ("import ctypes", "ctypes", ""),
        ("import pickle", "pickle", ""),
        ("eval('1')", "eval", ""),
        ("import numpy\nnumpy.load('x', allow_pickle=True)", "allow_pickle", ""),
        ("import _socket", "_socket", "network"),
        ("import importlib\nimportlib.import_module('socket')", "socket", "network"),
        ("from importlib import import_module as load\nload('http.client')", "http.client", "network"),
        ("from importlib import import_module\nimport_module(name)", "import_module", ""),
        ("__import__('subprocess')", "subprocess", "subprocess"),
        ("from os import *\nsystem('ls')", "os.system", "subprocess"),
        ("from posix import *\nsystem('ls')", "os.system", "subprocess"),
        ("import os\ngetattr(os, 'system')('ls')", "os.system", "subprocess"),
        ("import posix\nposix.system('ls')", "os.system", "subprocess"),
        ("import builtins\nbuiltins.exec('1')", "exec", ""),
        ("import builtins\nbuiltins.open('x', 'w')", "open()", "file_write"),
        ("from pathlib import Path\nPath('/etc/x').open('w')", "open()", "file_write"),
        ("from pathlib import Path\np = Path('x') / 'y'\nwith p.open() as file:\n    pass", "open()", "file_read"),
        ("import pathlib\nself.p = pathlib.Path.home()\nself.p.parent.open(mode='a')", "open()", "file_write"),
        ("def f(path: Path | None):\n    path.rename('y')", "rename()", "file_write"),
        ("from pathlib import *\nPath('x').replace('y')", "replace()", "file_write"),
        ("def f(p: 'Path'):\n    for q in p.glob('*'):\n        q.chmod(0)", "chmod()", "file_write"),
        ("def f(p: 'Path'):\n    return list(p.glob('*'))", "glob()", "file_read"),
        ("class C:\n    p: Path\n\n    def f(self):\n        self.p.open('w')", "open()", "file_write"),
        ("p: Path = made()\np.rename('x')", "rename()", "file_write"),
        ("p.unlink()", "unlink()", "file_write"),
        ("p.mkdir(parents=True)", "mkdir()", "file_write"),
        ("p.touch()", "touch()", "file_write"),
        ("import numpy as np\nnp.save('x', a)", "numpy.save()", "file_write"),
        ("import numpy as np\nnp.load('x')", "numpy.load()", "file_read"),
        ("import numpy as np\nnp.memmap('x', mode='w+')", "numpy.memmap()", "file_write"),
        ("import numpy as np\nnp.memmap('x', 'float32', 'r')", "numpy.memmap()", "file_read"),
        ("import numpy as np\nnp.memmap('x')", "numpy.memmap()", "file_write"),
        ("array.tofile('x')", "tofile()", "file_write"),
        ("import zipfile\nzipfile.ZipFile(path, 'w')", "zipfile.ZipFile()", "file_write"),
        ("import zipfile\nzipfile.ZipFile('x')", "zipfile.ZipFile()", "file_read"),
        ("import tarfile\ntarfile.open('x', 'r:xz')", "tarfile.open()", "file_read"),
        ("import tarfile\ntarfile.open('x', 'w:xz')", "tarfile.open()", "file_write"),
        ("archive.extractall('x')", "extractall()", "file_write"),
        ("import os\nos.open('x', os.O_WRONLY | os.O_CREAT)", "os.open()", "file_write"),
        ("import os\nos.open('x', os.O_RDONLY)", "os.open()", "file_read"),
        ("open('resources/x')", "open()", "file_read"),
        ("open('__file__')", "open()", "file_read"),
        ("from pathlib import Path\n(Path(__file__).parent / 'x').write_text('y')", "write_text()", "file_write"),
        ("open(__file__, 'a')", "open()", "file_write"),
        ("HERE = __file__\n\n\ndef f(HERE):\n    open(HERE)", "open()", "file_read"),
    ],
)
def test_finds(source: str, name: str, permission: str) -> None:
    found = [(use.name, use.permission) for use in uses(source)]
    assert (name, permission) in found


@pytest.mark.parametrize(
    "source",
    [
        "import json, math, os, re\nos.path.join('a', 'b')\nos.environ.get('A')",
        "from http import HTTPStatus",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import socket",
        "self.eval('x')\nmodel.exec()\nfile.open()",
        "from pathlib import Path\nopen(Path(__file__).parent / 'data.json')",
        "import os\nHERE = os.path.dirname(__file__)\nopen(os.path.join(HERE, 'x'))\nopen(f'{HERE}/y')",
        "from pathlib import Path\nHERE = Path(__file__).parents[1]\n(HERE / 'x').open()\n(HERE / 'y').read_text()",
        "from pathlib import Path\nimport numpy\nnumpy.load(Path(__file__).with_name('x'), allow_pickle=False)",
        "from importlib import resources\nresources.files('tea').joinpath('x').read_text()",
        "from importlib.resources import as_file, files\nwith as_file(files('tea') / 'x') as file:\n    open(file)",
        "import io, numpy, zipfile\nfile = io.BytesIO()\nnumpy.save(file, 1)\nzipfile.ZipFile(file, 'w')",
        "import io\nwith io.BytesIO() as file:\n    figure.savefig(file)",
        "import io, tarfile\nfile = io.BytesIO()\ntarfile.open(fileobj=file, mode='w')",
        "from importlib import import_module\nimport_module('numpy')\nimport_module('.tea', __package__)",
        "import os\ngetattr(os, 'getcwd')()\ngetattr(os, name)",
        "text.replace('a', 'b')\nframe.rename(columns={})\nfile.open('w')\nbook.copy()",
        "socket = 3\nsocket + 1",
        "from tea import subprocess_like\nfrom . import socket",
    ],
)
def test_finds_nothing(source: str) -> None:
    assert list(uses(source)) == []


def test_tells_each_once_with_its_first_line() -> None:
    source = "import os\n\nos.system('a')\nos.system('b')\nimport socket\nsocket.create_connection(('a', 1))\n"
    assert [(use.name, use.line) for use in uses(source)] == [("os.system", 3), ("socket", 5)]


def test_a_declared_permission_silences_its_kind_alone() -> None:
    files = {"tea/__init__.py": b"import socket\nimport subprocess\nimport ctypes\n"}
    found = [(p.code, p.where, p.level) for p in undeclared(files, ["network:example.org"])]
    assert found == [
        ("permission-undeclared", "tea/__init__.py:2", "warning"),
        ("unsafe", "tea/__init__.py:3", "warning"),
    ]


def test_source_that_cannot_be_parsed_is_told() -> None:
    files = {"a.py": b"x = 1\nprint 'two'\n", "b.py": b"\0", "c.py": b"(" * 5000, "d.py": b"import socket"}
    found = [(p.code, p.where) for p in undeclared(files, [])]
    assert found[0] == ("syntax", "a.py:2")
    assert [code for code, _ in found] == ["syntax", "syntax", "syntax", "permission-undeclared"]
