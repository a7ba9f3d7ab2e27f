"""Wheels from anywhere: what is taken in, what is refused and why, and what reaches the disk."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxima.errors import ManifestError, StorageError
from proxima.store.archive import Archive, ArchiveLimits
from proxima.store.wheel import WheelError, WheelFile
from proxima_sdk.manifest.compile import compiled_text
from proxima_sdk.manifest.model import check_manifest

INFO = "tea-1.0.dist-info"


def manifest(**fields: Any) -> str:
    tool = {"name": "brew", "class": "tea.Brew", "description": "Brews tea"}
    data = {
        "name": "tea",
        "version": "1.0",
        "description": "Tea",
        "license": "MIT",
        "type": "tool",
        "entry_points": {"tools": [tool]},
    }
    return compiled_text(check_manifest(data | fields, source="tea"))


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


class Forge:
    """Writes wheels entry by entry, right or wrong."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, bytes] = {
            "tea/__init__.py": b"plugin = object()\n",
            "tea/proxima-plugin.json": manifest().encode(),
            f"{INFO}/METADATA": b"Metadata-Version: 2.3\nName: tea\nVersion: 1.0\nRequires-Python: >=3.11\n",
            f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{INFO}/entry_points.txt": b"[proxima.plugins]\ntea = tea:plugin\n",
        }
        self.more: list[tuple[zipfile.ZipInfo, bytes]] = []  # in the zip file, whatever its names
        self.unlisted: set[str] = set()
        self.record: str | None = None
        self.name = "tea-1.0-py3-none-any.whl"

    def metadata(self, *lines: str) -> None:
        self.files[f"{INFO}/METADATA"] += "".join(f"{line}\n" for line in lines).encode()

    def entry(self, name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
        """One more entry, listed in RECORD."""
        made = zipfile.ZipInfo(name)
        made.create_system = 3
        made.external_attr = mode << 16
        made.compress_type = zipfile.ZIP_DEFLATED
        self.more.append((made, content))
        return made

    def write(self) -> Path:
        listed = {**self.files, **{entry.filename: content for entry, content in self.more}}
        rows = [f'"{n}",{digest(c)},{len(c)}' for n, c in listed.items() if n not in self.unlisted and n[-1] != "/"]
        record = self.record if self.record is not None else "\n".join([*rows, f"{INFO}/RECORD,,"]) + "\n"
        path = self.root / self.name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *_, **__: None)  # about names that occur twice, as they are meant to
            for name, content in self.files.items():
                file.writestr(name, content)
            for entry, content in self.more:
                file.writestr(entry, content)
            if self.record != "":
                file.writestr(f"{INFO}/RECORD", record)
        return path

    def codes(self) -> dict[str, str]:
        """What is wrong with the wheel: code to text; `unpack` must refuse it too, and leave nothing behind."""
        path = self.write()
        target = self.root / "unpacked"
        try:
            with WheelFile.open(path) as wheel:
                found = [p for p in wheel.problems(contents=True) if p.level == "error"]
                if found:
                    with pytest.raises(WheelError):
                        wheel.unpack(target)
        except WheelError as error:
            found = list(error.problems)
        assert not target.exists()
        return {problem.code: str(problem) for problem in found}


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


def test_reads_a_good_wheel(forge: Forge, tmp_path: Path) -> None:
    forge.metadata("Requires-Dist: numpy>=2", "Requires-Dist: tea[hot]; extra == 'all'")
    forge.entry("tea/data/leaf.bin", b"leaf" * 1000)
    forge.entry("tea/run.sh", b"#!/bin/sh\n", stat.S_IFREG | 0o775)
    forge.entry("tea-1.0.data/purelib/tea/more.py", b"x = 1\n")
    seen: list[tuple[int, int]] = []
    with WheelFile.open(forge.write()) as wheel:
        assert (wheel.name, wheel.version, wheel.tags) == ("tea", "1.0", {"py3-none-any"})
        assert [str(requirement) for requirement in wheel.requires] == ["numpy>=2", 'tea[hot]; extra == "all"']
        assert wheel.entry_points == [("tea", "tea:plugin")]
        assert wheel.manifest is not None
        assert [c.name for c in wheel.manifest.contributions] == ["brew"]
        assert wheel.problems(contents=True) == []
        size = wheel.unpack(tmp_path / "site", lambda done, of: seen.append((done, of)))
    site = tmp_path / "site"
    assert (site / "tea/data/leaf.bin").read_bytes() == b"leaf" * 1000
    assert (site / "tea/more.py").read_text() == "x = 1\n"
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (site / "tea").glob("*.*")} == {
        "__init__.py": 0o444, "more.py": 0o444, "proxima-plugin.json": 0o444, "run.sh": 0o555,
    }  # fmt: skip
    assert size == sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    assert seen == [(done, 9) for done in range(10)]


def test_scripts_headers_and_data_are_left_out_and_told(forge: Forge, tmp_path: Path) -> None:
    for scheme in ("scripts", "data", "headers"):
        forge.entry(f"tea-1.0.data/{scheme}/leaf")
    with WheelFile.open(forge.write()) as wheel:
        notes = wheel.check()
        wheel.unpack(tmp_path / "site")
    assert {note.level for note in notes} == {"note"}
    assert len(notes) == 3
    assert not list((tmp_path / "site").rglob("leaf"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../evil.py", "leads out"),
        ("tea/../../evil.py", "leads out"),
        ("/etc/evil", "absolute"),
        ("tea\\..\\evil.py", "Windows path"),
        ("C:/evil.py", "Windows path"),
        ("tea/a\nb.py", "cannot be shown"),
        ("tea/\x1b[2J.py", "cannot be shown"),
        ("./tea/x.py", "shortest form"),
        ("tea//x.py", "shortest form"),
        ("tea/" + "x" * 300, "shortest form"),
        ("../", "leads out"),
        ("tea/" * 41 + "x.py", "more than 40 directories deep"),
    ],
)
def test_refuses_names_that_lead_elsewhere(forge: Forge, name: str, says: str) -> None:
    forge.entry(name)
    assert says in forge.codes()["name"]
    assert not (forge.root / "evil.py").exists()


def test_refuses_a_name_with_nul(forge: Forge) -> None:
    forge.entry("tea/x.pyQ.txt")
    path = forge.write()
    path.write_bytes(path.read_bytes().replace(b"tea/x.pyQ.txt", b"tea/x.py\0.txt"))
    with WheelFile.open(path) as wheel:
        assert [problem.code for problem in wheel.archive.problems] == ["name"]


@pytest.mark.parametrize("twin", ["tea/__init__.py", "tea/__INIT__.py", "TEA/__init__.py", "tea/__init__.py/x", "tea"])
def test_refuses_two_entries_of_one_name(forge: Forge, twin: str) -> None:
    forge.entry(twin)
    assert "duplicate" in forge.codes()


@pytest.mark.parametrize("parts", [40, 490])
def test_judging_names_takes_memory_as_they_are_long_not_deep(tmp_path: Path, parts: int) -> None:
    path = tmp_path / "deep.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1000):
            archive.writestr(f"{number:06}/" + "/".join(["a" * (900 // parts)] * parts), b"")
    tracemalloc.start()
    with contextlib.closing(Archive(str(path))) as opened:
        assert len(opened.files) + len(opened.problems) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * path.stat().st_size


def test_refuses_two_entries_for_one_place(forge: Forge) -> None:
    forge.entry("tea-1.0.data/purelib/tea/__init__.py")
    assert "same place" in forge.codes()["duplicate"]


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (stat.S_IFLNK | 0o777, "symbolic link"),
        (stat.S_IFIFO | 0o644, "no regular file"),
        (stat.S_IFCHR | 0o644, "no regular file"),
        (stat.S_IFREG | stat.S_ISUID | 0o755, "another user"),
    ],
)
def test_refuses_entries_that_are_no_plain_files(forge: Forge, mode: int, says: str) -> None:
    forge.entry("tea/link", b"/etc/passwd", mode)
    assert says in forge.codes()["mode"]


def test_refuses_a_zip_bomb_by_what_it_reads(forge: Forge, tmp_path: Path) -> None:
    forge.entry("tea/zeros", bytes(200 << 20))
    path = forge.write()
    assert path.stat().st_size < 1 << 20
    with WheelFile.open(path) as wheel, pytest.raises(WheelError, match=r"tea/zeros: unpacks to more than"):
        wheel.unpack(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_counts_all_files_together(forge: Forge, tmp_path: Path) -> None:
    for number in range(30):
        forge.entry(f"tea/{number}", os.urandom(100_000))
    limits = ArchiveLimits(unpacked_bytes=1_000_000)
    with WheelFile.open(forge.write(), limits=limits) as wheel:
        assert [problem.code for problem in wheel.problems(contents=True)] == ["bomb"]
        assert wheel.problems() == []
        with pytest.raises(WheelError):
            wheel.unpack(tmp_path / "site")


def test_refuses_a_size_that_lies(forge: Forge, tmp_path: Path) -> None:
    """The table of contents says 10 bytes; reading stops there and the checksum tells."""
    forge.entry("tea/zeros", bytes(100_000))
    path = forge.write()
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<L", 100_000), struct.pack("<L", 10)))
    with WheelFile.open(path) as wheel, pytest.raises(WheelError, match="tea/zeros"):
        wheel.unpack(tmp_path / "site")


def test_refuses_more_entries_than_anybody_needs(forge: Forge) -> None:
    path = forge.write()
    with pytest.raises(WheelError, match="more than 3 entries"):
        WheelFile.open(path, limits=ArchiveLimits(entries=3))


def test_refuses_a_count_of_entries_that_lies(forge: Forge) -> None:
    path = forge.write()
    data = bytearray(path.read_bytes())
    data[-14:-10] = struct.pack("<2H", 1, 1)
    path.write_bytes(data)
    with pytest.raises(WheelError, match="more than 5 entries"):
        WheelFile.open(path, limits=ArchiveLimits(entries=5))


def test_refuses_metadata_without_end(forge: Forge) -> None:
    forge.metadata("X: " + "x" * 200_000)
    path = forge.write()
    with pytest.raises(WheelError, match=r"METADATA: holds more than 100,000 bytes"):
        WheelFile.open(path, limits=ArchiveLimits(metadata_bytes=100_000))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"PK",
        lambda data: b"not a zip file" * 100,
        lambda data: data[:-30],
        lambda data: data + b"#!/bin/sh\n",
        lambda data: b"#!/usr/bin/python\n" + data,
        lambda data: data[:-2] + b"\3\0abc",
        lambda data: data[: len(data) // 2] + b"\0" * (len(data) - len(data) // 2 - 22) + data[-22:],
    ],
    ids=["empty", "two bytes", "text", "cut", "appended", "prefixed", "comment", "zeros"],
)
def test_refuses_what_is_no_plain_zip(forge: Forge, change: Callable[[bytes], bytes]) -> None:
    path = forge.write()
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(WheelError) as caught:
        WheelFile.open(path)
    assert caught.value.problems[0].code == "not-a-zip"


def test_a_wheel_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"tea-1\.0-py3-none-any\.whl: No such file"):
        WheelFile.open(tmp_path / "tea-1.0-py3-none-any.whl")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "tea-2.0-py3-none-any.whl").mkdir()
    with pytest.raises(StorageError):
        WheelFile.open(tmp_path / "tea-2.0-py3-none-any.whl")


def test_damage_anywhere_is_refused_and_nothing_else_happens(forge: Forge, tmp_path: Path) -> None:
    good = forge.write().read_bytes()
    path = tmp_path / forge.name
    for at in range(0, len(good), 7):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        target = tmp_path / f"site-{at}"
        try:
            with WheelFile.open(path) as wheel:
                wheel.unpack(target)
        except (WheelError, ManifestError):
            assert not target.exists()
        else:  # a date, a version of the packer: nothing that reaches the disk
            assert (target / "tea/__init__.py").read_bytes() == forge.files["tea/__init__.py"]


def test_refuses_a_hash_that_differs(forge: Forge) -> None:
    path = forge.write()
    forge.record = zipfile.ZipFile(path).read(f"{INFO}/RECORD").decode()
    forge.files["tea/__init__.py"] = b"import this\n"
    assert "tea/__init__.py: differs from the hash" in forge.codes()["record-hash"]


def test_refuses_files_that_record_does_not_vouch_for(forge: Forge) -> None:
    forge.entry("tea/extra.py")
    forge.unlisted = {"tea/extra.py"}
    assert forge.codes() == {"record": "tea/extra.py: has no hash in RECORD"}


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("", "metadata"),  # not there at all
        ("tea/__init__.py,md5=abc,1\n", "record"),
        ("tea/__init__.py,sha256=AAAA,1\n", "record"),
        ("one,two\n", "record"),
        ("tea/__init__.py,,many\n", "record"),
        (f"tea/__init__.py,{digest(b'')},1\n" * 2, "record"),
        ("\xff\n", "record"),
    ],
)
def test_refuses_a_record_that_says_too_little(forge: Forge, record: str, code: str) -> None:
    forge.record = record
    assert code in forge.codes()


def test_refuses_a_record_of_files_that_are_missing(forge: Forge) -> None:
    path = forge.write()
    forge.record = zipfile.ZipFile(path).read(f"{INFO}/RECORD").decode() + f"tea/gone.py,{digest(b'')},0\n"
    assert "tea/gone.py: is listed in RECORD and not in the wheel" in forge.codes()["record"]


@pytest.mark.parametrize(
    "tag", ["cp27-cp27m-win32", "py3-none-macosx_10_9_x86_64", "cp311-cp311-manylinux_9_99_x86_64"]
)
def test_refuses_another_platform_and_names_what_fits(forge: Forge, tag: str) -> None:
    forge.name = f"tea-1.0-{tag}.whl"
    text = forge.codes()["tag"]
    assert tag in text
    assert "this host takes cp3" in text


def test_refuses_another_python(forge: Forge) -> None:
    forge.files[f"{INFO}/METADATA"] = b"Metadata-Version: 2.1\nName: tea\nVersion: 1.0\nRequires-Python: >=4\n"
    assert "needs Python >=4; this is 3." in forge.codes()["python"]


@pytest.mark.parametrize("name", ["tea.whl", "tea-1.0.zip", "tea-one-py3-none-any.whl", "te a-1.0-py3-none-any.whl"])
def test_refuses_a_file_name_that_is_none_of_a_wheel(forge: Forge, name: str) -> None:
    forge.name = name
    assert "file-name" in forge.codes()


@pytest.mark.parametrize("name", ["coffee-1.0-py3-none-any.whl", "tea-2.0-py3-none-any.whl"])
def test_refuses_a_wheel_under_another_name(forge: Forge, name: str) -> None:
    forge.name = name
    assert "identity" in forge.codes()


@pytest.mark.parametrize(
    ("entry", "content", "code"),
    [
        (f"{INFO}/WHEEL", b"Wheel-Version: 2.0\n", "format"),
        (f"{INFO}/WHEEL", b"\0\1\2", "format"),
        (f"{INFO}/METADATA", b"Metadata-Version: 9.0\nName: tea\nVersion: 1.0\n", "format"),
        (f"{INFO}/METADATA", b"\0" * 1000, "identity"),
        (f"{INFO}/entry_points.txt", b"\xff\xfe[proxima.plugins]", "metadata"),
        ("evil.pth", b"import os\n", "pth"),
        ("tea-1.0.data/purelib/evil.pth", b"import os\n", "pth"),
        ("tea-1.0.data/etc/passwd", b"root\n", "data"),
        ("coffee-1.0.data/purelib/x.py", b"", "data"),
        ("json.py", b"", "shadows"),
        ("os/__init__.py", b"", "shadows"),
        ("proxima/kernel.py", b"", "shadows"),
        ("numpy/__init__.py", b"", "shadows"),
        ("_socket.abi3.so", b"", "shadows"),
        ("sitecustomize.py", b"", "shadows"),
        ("usercustomize.py", b"", "shadows"),
        ("coffee-2.0.dist-info/METADATA", b"Metadata-Version: 2.1\n", "dist-info"),
    ],
)
def test_refuses_files_that_do_not_belong(forge: Forge, entry: str, content: bytes, code: str) -> None:
    forge.files[entry] = content
    assert code in forge.codes()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("Requires-Dist: tea", "self"),
        ("Requires-Dist: Tea>=0.5", "self"),
        ("Requires-Dist: ???", "requirement"),
        ("Requires-Dist: milk @ https://example.org/milk-1.0-py3-none-any.whl", "requirement"),
        ("Requires-Dist: proxima-kernel>=99", "kernel"),
    ],
)
def test_refuses_requirements_that_cannot_be_met(forge: Forge, line: str, code: str) -> None:
    forge.metadata(line)
    assert code in forge.codes()


def test_refuses_a_plugin_for_a_kernel_from_the_future(forge: Forge) -> None:
    forge.files["tea/proxima-plugin.json"] = manifest(kernel_api="99").encode()
    assert "needs kernel API >=99" in forge.codes()["kernel"]


def test_a_manifest_in_a_later_layout_is_one_for_a_later_kernel(forge: Forge) -> None:
    forge.files["tea/proxima-plugin.json"] = b'{"format": 2, "fits": "kernel-api>=7", "all": "else"}'
    assert set(forge.codes()) == {"kernel"}


def test_refuses_a_permission_on_everything(forge: Forge) -> None:
    data = json.loads(manifest(permissions=["file_read"])) | {"permissions": ["file_read:/"]}
    forge.files["tea/proxima-plugin.json"] = json.dumps(data).encode()
    assert "never granted" in forge.codes()["permission"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "format"),
        (b'{"pad": "' + b"x" * (1 << 20) + b'"}', "larger than"),
        (manifest(name="coffee").encode(), "'coffee', the entry point's 'tea'"),
        (
            manifest().replace("kernel-api>=1", "kernel-api>=1\\nproxima>=0").encode(),
            "fits or the entry point has char",
        ),
        (manifest(version="2.0").encode(), "version is 2.0, the wheel's 1.0"),
        (manifest(entry_points={"tools": [{"name": "x", "class": "cup.Of"}]}).encode(), "package cup"),
    ],
)
def test_refuses_a_manifest_that_is_not_of_this_wheel(forge: Forge, content: bytes, says: str) -> None:
    forge.files["tea/proxima-plugin.json"] = content
    assert says in forge.codes()["manifest"]


def test_refuses_an_entry_point_that_cannot_be_shown(forge: Forge) -> None:
    forge.files[f"{INFO}/entry_points.txt"] = b"[proxima.plugins]\ntea = tea:plugin\x1b[2J.x\n"
    assert "has characters that cannot be shown" in forge.codes()["manifest"]


def test_refuses_a_plugin_without_its_manifest(forge: Forge) -> None:
    del forge.files["tea/proxima-plugin.json"]
    assert "tea/proxima-plugin.json: the compiled manifest is not in the wheel" in forge.codes()["manifest"]


def test_refuses_two_plugins_in_one_wheel(forge: Forge) -> None:
    forge.files[f"{INFO}/entry_points.txt"] += b"coffee = tea:coffee\n"
    assert "several plugins (tea, coffee)" in forge.codes()["entry-point"]


def test_a_dependency_is_no_plugin_and_its_pth_file_is_left_out(forge: Forge, tmp_path: Path) -> None:
    del forge.files["tea/proxima-plugin.json"], forge.files[f"{INFO}/entry_points.txt"]
    forge.files["tea.pth"] = b"import evil\n"
    with WheelFile.open(forge.write()) as wheel:
        assert not wheel.is_plugin
        assert wheel.manifest is None
        assert [(note.code, note.level) for note in wheel.check()] == [("left-out", "note")]
        wheel.unpack(tmp_path / "site")
    assert not (tmp_path / "site/tea.pth").exists()


def test_messages_name_the_file_the_entry_and_what_to_do(forge: Forge) -> None:
    for number in range(7):
        forge.entry(f"../{number}.py")
    path = forge.write()
    with WheelFile.open(path) as wheel, pytest.raises(WheelError) as caught:
        wheel.check()
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: ../0.py: leads out of the directory that it is unpacked to"
    assert lines[-1] == f"{path}: and 9 more"  # each of them, and its line in RECORD
    assert caught.value.hint


def test_numpy_alone_may_bring_numpy(forge: Forge) -> None:
    info = "numpy-1.0.dist-info"
    forge.files = {
        name.replace(INFO, info): content.replace(b"tea", b"numpy")
        for name, content in forge.files.items()
        if "tea/" not in name and "entry_points" not in name
    }
    forge.files["numpy/__init__.py"] = b""
    forge.name = "numpy-1.0-py3-none-any.whl"
    content = io.BytesIO()
    rows = "".join(f"{name},{digest(text)},\n" for name, text in forge.files.items())
    with zipfile.ZipFile(content, "w") as file:
        for name, text in {**forge.files, f"{info}/RECORD": rows.encode()}.items():
            file.writestr(name, text)
    path = forge.root / forge.name
    path.write_bytes(content.getvalue())
    with WheelFile.open(path) as wheel:
        assert wheel.check() == []


def test_unpacks_into_a_new_directory_only(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/mine").write_text("mine")
    with WheelFile.open(forge.write()) as wheel, pytest.raises(StorageError, match="File exists"):
        wheel.unpack(tmp_path / "site")
    assert (tmp_path / "site/mine").read_text() == "mine"
