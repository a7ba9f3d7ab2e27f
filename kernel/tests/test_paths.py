import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.errors import StorageError
from proxima.paths import Paths, user_home

DIRECTORIES = ("config", "data", "state", "cache")
VARIABLES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")

linux = pytest.mark.skipif(sys.platform != "linux", reason="the XDG rule is Linux's")


def four(paths):
    return {name: getattr(paths, name) for name in DIRECTORIES}


@linux
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"XDG_DATA_HOME": "/srv/data", "XDG_CACHE_HOME": "/srv/cache"},
        {"XDG_CONFIG_HOME": ""},
        {"XDG_CONFIG_HOME": "relative/place", "XDG_STATE_HOME": "./x"},
        {"HOME": "/home/somebody else"},
    ],
)
def test_agrees_with_platformdirs_on_linux(changes, monkeypatch):
    platformdirs = pytest.importorskip("platformdirs")
    for name in (*VARIABLES, "PROXIMA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    theirs = platformdirs.PlatformDirs("proxima", appauthor=False)
    expected = {name: getattr(theirs, f"user_{name}_dir") for name in DIRECTORIES}
    assert four(Paths.default(os.environ)) == expected


@linux
@given(st.sampled_from(VARIABLES), st.text(st.characters(exclude_characters="\0/"), max_size=8))
def test_a_relative_xdg_value_counts_as_unset(variable, value):
    assert four(Paths.default({"HOME": "/home/a", variable: value})) == four(Paths.default({"HOME": "/home/a"}))


def test_proxima_home_holds_all_four_and_wins_over_xdg():
    paths = Paths.default({"PROXIMA_HOME": "/srv/px", "HOME": "/home/a", "XDG_DATA_HOME": "/elsewhere"})
    assert four(paths) == {name: f"/srv/px/{name}" for name in DIRECTORIES}


def test_a_relative_proxima_home_is_made_absolute():
    assert Paths.default({"PROXIMA_HOME": "px"}).data == os.path.join(os.getcwd(), "px", "data")


@linux
@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "here"}])
def test_without_a_usable_home_the_user_database_is_asked(environ):
    import pwd

    assert user_home(environ) == pwd.getpwuid(os.getuid()).pw_dir


def test_construction_creates_nothing(tmp_path):
    Paths.default({"PROXIMA_HOME": str(tmp_path / "home")})
    assert not (tmp_path / "home").exists()


def test_ensure_makes_each_missing_directory_private(tmp_path):
    made = Paths.ensure(str(tmp_path / "a" / "b" / "c"))
    for each in (made, os.path.dirname(made), os.path.dirname(os.path.dirname(made))):
        assert stat.S_IMODE(os.stat(each).st_mode) == 0o700
    assert Paths.ensure(made) == made


def test_ensure_names_the_directory_it_cannot_make(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot create the directory .*file/below") as caught:
        Paths.ensure(str(tmp_path / "file" / "below"))
    assert "PROXIMA_HOME" in caught.value.hint
    with pytest.raises(StorageError, match="cannot create the directory"):
        Paths.ensure(str(tmp_path / "file"))


def test_importing_paths_imports_nothing_beyond_a_bare_start():
    code = "import sys; before = set(sys.modules); import proxima.paths; print(*sorted(set(sys.modules) - before))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(output.split()) <= {"__future__", "proxima", "proxima.paths"}
