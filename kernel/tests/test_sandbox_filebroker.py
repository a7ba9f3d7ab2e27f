"""The file broker and the worker's side of it."""

import os
import socket
import stat
import sys
import threading

import pytest

from proxima.errors import PermissionDeniedError, UsageError
from proxima.paths import Paths
from proxima.permissions import Permission, Permissions
from proxima.sandbox.filebroker import FileBroker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="openat2")


@pytest.fixture
def place(tmp_path):
    """A directory to grant, with a secret beside it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("tea")
    (tmp_path / "secret").write_text("key")
    return tmp_path / "data"


@pytest.fixture
def permissions(tmp_path):
    opened = Permissions.open(Paths.under(str(tmp_path / "home")))
    yield opened
    opened.close()


@pytest.fixture
def broker(permissions):
    return FileBroker(permissions)


def grant(permissions, *granted):
    permissions.declare("tea", "1.0", granted)
    for text in granted:
        permissions.grants.grant("tea", Permission.parse(text))


def read(broker, path):
    with open(broker.open("tea", str(path))) as file:
        return file.read()


def test_reads_what_is_granted(broker, permissions, place):
    grant(permissions, f"file_read:{place}")
    fd = broker.open("tea", f"{place}/x.txt")
    assert not os.get_inheritable(fd)
    with open(fd) as file:
        assert file.read() == "tea"
    (row,) = permissions.audit.search(outcome="used")
    assert (row.permission, row.target) == (f"file_read:{place}/x.txt", f"{place}/x.txt")


def test_a_denial_names_the_permission(broker, permissions, place):
    grant(permissions, f"file_read:{place}")
    secret = place.parent / "secret"
    for path, mode in ((secret, "r"), (f"{place}/../secret", "r"), (place / "x.txt", "w"), (place / "x.txt", "r+")):
        with pytest.raises(PermissionDeniedError, match=r"file_(read|write):"):
            broker.open("tea", str(path), mode)
    assert (place / "x.txt").read_text() == "tea"
    with pytest.raises(PermissionDeniedError, match=f"file_read:{secret}"):
        broker.open("tea", str(secret))
    assert permissions.audit.search(outcome="blocked")[0].target == str(secret)


def test_a_link_out_of_what_is_granted_is_denied_and_does_not_tell_where_it_leads(broker, permissions, place):
    grant(permissions, f"file_read:{place}", f"file_write:{place}")
    (place / "link").symlink_to(place.parent / "secret")
    (place / "up").symlink_to("..")
    (place / "dangling").symlink_to(place.parent / "new")
    for path, mode in (("link", "r"), ("up/secret", "r"), ("link", "w"), ("dangling", "w"), ("up/new", "x")):
        with pytest.raises(PermissionDeniedError) as caught:
            broker.open("tea", f"{place}/{path}", mode)
        assert str(place.parent / "secret") not in str(caught.value)
        assert f":{place}/{path}" in str(caught.value)
    assert (place.parent / "secret").read_text() == "key"
    assert not (place.parent / "new").exists()


def test_a_link_within_what_is_granted_is_followed(broker, permissions, place):
    grant(permissions, f"file_read:{place}")
    (place / "link").symlink_to("x.txt")
    assert read(broker, place / "link") == "tea"


def test_a_link_put_in_place_after_the_check_is_not_followed(broker, permissions, place):
    """The permission is checked, then a directory on the way becomes a link, then the file is opened."""
    grant(permissions, f"file_read:{place}")
    (place / "inner").mkdir()
    (place / "inner" / "secret").write_text("harmless")
    use = permissions.use

    def use_and_swap(*args, **kwargs):
        use(*args, **kwargs)
        (place / "inner").rename(place / "moved")
        (place / "inner").symlink_to(place.parent)

    permissions.use = use_and_swap
    with pytest.raises(OSError, match="symbolic links"):
        broker.open("tea", f"{place}/inner/secret")


def test_links_that_are_swapped_all_the_time_never_lead_out(broker, permissions, place):
    grant(permissions, f"file_read:{place}")
    (place / "a").mkdir()
    (place / "a" / "secret").write_text("harmless")
    (place / "b").symlink_to(place.parent)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(place / "a", place / "c")
            os.rename(place / "b", place / "a")
            os.rename(place / "a", place / "b")
            os.rename(place / "c", place / "a")

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    try:
        for _ in range(300):
            try:
                seen.add(read(broker, place / "a" / "secret"))
            except OSError as error:
                seen.add(type(error).__name__)
    finally:
        stop.set()
        swapping.join()
    assert "key" not in seen
    assert "harmless" in seen


MODES = {
    "r": ("tea", None),
    "r+": ("NEW", None),
    "w": ("NEW", "NEW"),
    "w+": ("NEW", "NEW"),
    "a": ("teaNEW", "NEW"),
    "a+": ("teaNEW", "NEW"),
    "x": (None, "NEW"),
    "x+": (None, "NEW"),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes_are_those_of_open(broker, permissions, place, mode):
    grant(permissions, f"file_read:{place}", f"file_write:{place}")
    for name, after in zip(("x.txt", "new.txt"), MODES[mode], strict=True):
        path = place / name
        if after is None:
            with pytest.raises(FileExistsError if mode[0] == "x" else FileNotFoundError):
                broker.open("tea", str(path), mode)
            continue
        with open(broker.open("tea", str(path), mode), mode.replace("x", "w")) as file:
            if mode != "r":
                file.write("NEW")
        assert path.read_text() == after


@pytest.mark.parametrize("mode", MODES)
def test_modes_need_their_permissions_and_give_no_more(broker, permissions, place, mode):
    reads, writes = mode == "r" or "+" in mode, mode != "r"
    path = place / ("new.txt" if mode[0] == "x" else "x.txt")
    wanted = [kind for kind, needed in (("file_read", reads), ("file_write", writes)) if needed]
    permissions.declare("tea", "1.0", ["file_read:" + str(place), "file_write:" + str(place)])
    for kind in wanted:
        with pytest.raises(PermissionDeniedError, match=f"denied {kind}:{path}"):
            broker.open("tea", str(path), mode)
        permissions.grants.grant("tea", Permission.parse(f"{kind}:{place}"))
    fd = broker.open("tea", str(path), mode)
    for may, act in ((reads, lambda: os.read(fd, 1)), (writes, lambda: os.write(fd, b"x"))):
        if may:
            act()
        else:
            with pytest.raises(OSError, match="Bad file descriptor"):
                act()
    os.close(fd)


def test_what_is_no_regular_file_is_refused_without_opening_it(broker, permissions, place):
    grant(permissions, "file_read:all", "file_write:all")
    os.mkfifo(place / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(place)
        server.bind("socket")
        for path in (place / "pipe", place / "socket", place, "/dev/null", "/dev/zero", "/dev/tty", "/"):
            for mode in ("r", "w"):
                with pytest.raises(PermissionDeniedError):
                    broker.open("tea", str(path), mode)
    os.chdir("/")


def test_the_system_s_views_of_itself_are_refused(broker, permissions, place):
    grant(permissions, "file_read:all", "file_write:all")
    for path in (
        f"/proc/{os.getpid()}/mem",
        "/proc/self/environ",
        "/proc/self/fd/0",
        "/proc/version",
        "/sys/kernel/mm",
    ):
        with pytest.raises(PermissionDeniedError):
            broker.open("tea", path)
    with pytest.raises(PermissionDeniedError):
        broker.open("tea", "/proc/self/mem", "r+")


def test_a_link_of_proc_is_followed_before_the_check_and_not_after(broker, permissions, place):
    grant(permissions, f"file_read:{place}")
    with open(place.parent / "secret") as file, pytest.raises(PermissionDeniedError):
        broker.open("tea", f"/proc/self/fd/{file.fileno()}")


def test_what_is_proxima_s_own_is_never_opened(broker, permissions, monkeypatch, tmp_path):
    monkeypatch.setenv("PROXIMA_HOME", str(tmp_path / "home"))
    grant(permissions, "file_read:all", "file_write:all")
    database = next((tmp_path / "home").rglob("permissions.sqlite"))
    (tmp_path / "link").symlink_to(database)
    for path in (database, tmp_path / "link"):
        for mode in ("r", "w"):
            with pytest.raises(PermissionDeniedError):
                broker.open("tea", str(path), mode)


@pytest.mark.parametrize("path", ["", "x.txt", "./x", "~/x", "\0", "/a\0b", "/" + "a" * 5000])
def test_refuses_what_is_no_absolute_path(broker, permissions, path):
    grant(permissions, "file_read:all")
    with pytest.raises(UsageError, match="is not an absolute path"):
        broker.open("tea", path)


@pytest.mark.parametrize("mode", ["", "rw", "rb", "U", "r++", "w\0"])
def test_refuses_a_mode_there_is_not(broker, permissions, place, mode):
    grant(permissions, "file_read:all", "file_write:all")
    with pytest.raises(UsageError, match="expected one of"):
        broker.open("tea", f"{place}/x.txt", mode)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "\udcff", "a ", "\u202ea"])
def test_names_that_cannot_be_shown_are_refused_and_recorded(broker, permissions, place, name):
    grant(permissions, "file_read:all")
    with pytest.raises(PermissionDeniedError):
        broker.open("tea", f"{place}/{name}")
    assert len(permissions.audit.search(outcome="blocked")) == 1


def test_new_files_are_plain_files_of_the_user(broker, permissions, place):
    grant(permissions, f"file_write:{place}")
    os.close(broker.open("tea", f"{place}/new", "w"))
    mode = (place / "new").stat().st_mode
    assert stat.S_ISREG(mode)
    assert not mode & 0o111


def test_no_descriptor_is_left_over(broker, permissions, place):
    grant(permissions, f"file_read:{place}", f"file_write:{place}")
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        os.close(broker.open("tea", f"{place}/x.txt"))
        os.close(broker.open("tea", f"{place}/x.txt", "w"))
        for path in (place, place.parent / "secret", place / "missing"):
            with pytest.raises(OSError, match=r"denied|may not|No such file"):
                broker.open("tea", str(path))
    assert os.listdir("/proc/self/fd") == before


def test_open_in_a_plugin_asks_for_what_it_cannot_have_itself(brokered):
    place = brokered.hidden
    (place / "x.txt").write_text("tea")
    (place / "out").mkdir()
    brokered.grant(f"file_read:{place}", f"file_write:{place}/out")
    code = """
        from pathlib import Path
        place, own = Path(sys.argv[1]), Path(sys.argv[2])
        print(open(place / "x.txt").read(), (place / "x.txt").read_text(), (place / "x.txt").read_bytes())
        with open(place / "out" / "new.bin", "xb") as file:
            file.write(b"made")
        with open(place / "out" / "new.bin", "a") as file:
            file.write(" more")
        os.chdir(place)
        outside = place.parent / "secret"
        wanted = (("x.txt", "r+"), (outside, "r"), ("missing", "r"), ("out/new.bin", "xb"), ("new", "w"))
        for path, mode in wanted:
            try:
                open(path, mode)
            except OSError as error:
                print(type(error).__name__, error, *getattr(error, "__notes__", ()))
        try:
            open(own / "missing")
        except FileNotFoundError as error:
            print("not asked", getattr(error, "__notes__", None))
    """
    lines = brokered.run(code, place, brokered.own).splitlines()
    assert lines[0] == "tea tea b'tea'"
    assert (place / "out" / "new.bin").read_text() == "made more"
    assert lines[1].startswith(f"PermissionDeniedError tea was denied file_write:{place}/x.txt")
    assert lines[2].startswith("FileNotFoundError")
    assert f"file_read:{place.parent}/secret" in lines[2]
    assert lines[3].startswith("FileNotFoundError")
    assert lines[4].startswith("FileExistsError")
    assert lines[5].startswith(f"PermissionDeniedError tea was denied file_write:{place}/new")
    assert lines[6] == "not asked None"
    asked = {row.target for row in brokered.kernel.permissions.audit.search()}
    assert f"{brokered.own}/missing" not in asked


def test_a_file_that_the_kernel_s_user_may_not_open_is_an_os_error_in_the_plugin(brokered):
    place = brokered.hidden
    brokered.grant(f"file_write:{place}")
    (place / "file").touch()
    code = """
        try:
            open(os.path.join(sys.argv[1], "file", "below"), "w")
        except OSError as error:
            print(type(error).__name__, error)
    """
    assert "Not a directory" in brokered.run(code, place)
