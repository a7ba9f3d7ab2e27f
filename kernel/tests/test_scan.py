import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.plugins.scan import entry_points, manifest_path, read_header, read_small, scan


def found(site, *more):
    return {plugin.id: plugin for plugin in scan([str(site), *map(str, more)]) if not plugin.contested}


def test_finds_a_plugin_built_as_a_wheel_and_installed(workshop):
    workshop.install(workshop.wheel(workshop.source("tea-time")))
    plugin = found(workshop.site)["tea-time"]
    assert (plugin.distribution, plugin.version, plugin.package) == ("tea-time", "1.0", "plug_tea_time")
    assert manifest_path(plugin) == str(workshop.site / "plug_tea_time" / "proxima-plugin.json")
    assert workshop.states() == {"tea-time": "enabled"}
    assert workshop.imported() == []
    assert workshop.proxima("tea-time", "--loud").stdout == "HELLO\n"


def test_a_wheel_holds_a_manifest_that_everybody_may_read(workshop):
    workshop.install(workshop.wheel(workshop.source("tea")))
    assert (workshop.site / "plug_tea" / "proxima-plugin.json").stat().st_mode & 0o044 == 0o044


def test_finds_an_editable_install(workshop, kernel_source):
    project = workshop.source("tea")
    venv = workshop.root / "venv"
    workshop.module("uv", "venv", "-q", "--offline", "--python", sys.executable, str(venv))
    python = str(venv / "bin" / "python")
    # uv builds with the target's own backend when isolation is off, so the target is given ours.
    ours = [path for path in sys.path if path.endswith("site-packages")]
    environ = workshop.environ(PYTHONPATH=os.pathsep.join([*ours, str(kernel_source.parent)]))
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--offline", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*install, "--python", python, "-e", str(project)], env=environ, capture_output=True)
    assert done.returncode == 0, done.stderr
    for words in (["plugin", "list"], ["plugin", "info", "tea"]):
        listed = subprocess.run([python, "-m", "proxima", *words], env=environ, capture_output=True, text=True)
        assert listed.returncode == 0, listed.stderr
        assert any("enabled" in line for line in listed.stdout.splitlines() if line.startswith(("tea ", "state ")))
    assert workshop.imported() == []
    greeting = subprocess.run([python, "-m", "proxima", "tea"], env=environ, capture_output=True, text=True)
    assert greeting.stdout == "hello\n", greeting.stderr


def test_a_distribution_earlier_on_the_path_hides_one_of_its_name(workshop):
    later = workshop.root / "later"
    workshop.lay_out("tea", version="2.0")
    workshop.lay_out("tea", version="1.0", site=later)
    assert [p.version for p in scan([str(workshop.site), str(later)])] == ["2.0"]
    assert [p.version for p in scan([str(later), str(workshop.site)])] == ["1.0"]


def test_of_two_distributions_with_one_id_neither_has_it(workshop):
    later = workshop.root / "later"
    workshop.lay_out("tea", distribution="pot")
    workshop.lay_out("tea", distribution="kettle", site=later)
    for path in ([str(workshop.site), str(later)], [str(later), str(workshop.site)]):
        both = {p.distribution: p.contested for p in scan(path)}
        assert set(both) == {"pot", "kettle"}
        assert len(set(both.values())) == 1
        assert all(f"{each} 1.0 in {site}" in both["pot"] for each, site in (("pot", workshop.site), ("kettle", later)))


def test_a_first_party_plugins_name_is_its_own_distributions_alone(workshop):
    workshop.lay_out("results", distribution="aaa")
    workshop.lay_out("results", distribution="zzz")
    why = f"only proxima-results may have this name, and {{}} 1.0 in {workshop.site} claims it"
    assert [p.contested for p in scan([str(workshop.site)])] == [why.format("aaa"), why.format("zzz")]
    workshop.lay_out("results", distribution="proxima-results")
    assert [(p.distribution, p.contested) for p in scan([str(workshop.site)])] == [
        ("proxima-results", ""),
        ("aaa", why.format("aaa")),
        ("zzz", why.format("zzz")),
    ]


def test_one_distribution_that_lists_a_plugin_twice_contests_nothing(workshop):
    workshop.lay_out("tea", points="[proxima.plugins]\ntea = plug_tea:plugin\ntea = plug_tea:other\n")
    assert [p.contested for p in scan([str(workshop.site)])] == [""]


def test_a_missing_directory_a_file_and_an_archive_on_the_path_hold_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    assert scan([str(tmp_path / "missing"), str(tmp_path / "file"), str(tmp_path / "x.zip")]) == []


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe[proxima.plugins]\ntea = plug_tea:plugin\n",
        b"\0" * 100,
        b"[proxima.plugins]\n" + b"#" * (2 << 20),
        b"",
    ],
    ids=["not UTF-8", "binary", "2 MiB", "empty"],
)
def test_entry_points_that_are_no_small_text_name_no_plugin(workshop, content):
    workshop.lay_out("tea", points=content)
    workshop.lay_out("milk")
    assert list(found(workshop.site)) == ["milk"]


def test_a_named_pipe_or_a_directory_in_place_of_a_file_does_not_hang(workshop):
    package = workshop.lay_out("tea")
    (package / "proxima-plugin.json").unlink()
    os.mkfifo(package / "proxima-plugin.json")
    workshop.lay_out("milk")
    info = workshop.site / "milk-1.0.dist-info" / "entry_points.txt"
    info.unlink()
    os.mkfifo(info)
    workshop.lay_out("sugar")
    (workshop.site / "sugar-1.0.dist-info" / "entry_points.txt").unlink()
    (workshop.site / "sugar-1.0.dist-info" / "entry_points.txt").mkdir()
    start = time.monotonic()
    assert workshop.states() == {"tea": "broken"}
    assert time.monotonic() - start < 20
    assert "not JSON" in workshop.main("plugin", "info", "tea")[1]


def test_an_unreadable_file_is_no_small_text(tmp_path):
    assert read_small(str(tmp_path)) is None
    assert read_small(str(tmp_path / "missing")) is None
    assert read_small("/dev/zero") is None


@pytest.mark.parametrize(
    "name", ["../../escape", "a/b", "a b", "tea\x1b[31m", ".", "..", "", "x" * 65, "t\u00e9", "a.b", "\u0661"]
)
def test_what_cannot_be_an_id_is_no_plugin(name):
    assert entry_points(f"[proxima.plugins]\n{name} = package:plugin\n") == []


def test_reads_the_entry_points_as_importlib_metadata_does():
    from importlib.metadata import EntryPoints

    text = """
# a comment
[console_scripts]
proxima = other:main
[ proxima.plugins ]
; another
tea = plug_tea : plugin [extra]
milk=plug_milk.deep:obj.attr
no value
[other]
sugar = x:y
"""
    ours = dict(entry_points(text))
    assert ours == {"tea": "plug_tea : plugin", "milk": "plug_milk.deep:obj.attr"}
    plain = "[proxima.plugins]\ntea = plug_tea:plugin\nmilk=plug_milk.deep:obj.attr\n[x]\na = b:c\n"
    theirs = EntryPoints._from_text_for(plain, None).select(group="proxima.plugins")
    assert dict(entry_points(plain)) == {point.name: point.value for point in theirs}


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_without_error(text):
    for name, _ in entry_points("[proxima.plugins]\n" + text):
        assert Path(name).name == name
        assert name.isprintable()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_have_a_header_or_none(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "header.json"
    path.write_bytes(data)
    assert read_header(str(path)) is None or data.startswith(b'{"format": 1')


def test_imports_nothing_that_a_bare_interpreter_has_not():
    code = (
        "import __future__, sys; before = set(sys.modules); "
        "import proxima.plugins.scan, proxima.plugins.state, proxima.paths, "
        "proxima.plugins.compatibility; print(sorted(n for n in set(sys.modules) - before if 'proxima' not in n))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
