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
        "import numpy\nnumpy.load('x', allow_pickle=False)",
        "open(Path(__file__).parent / 'data.json')",
        "from importlib import resources\nresources.files('tea').joinpath('x').read_text()",
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
