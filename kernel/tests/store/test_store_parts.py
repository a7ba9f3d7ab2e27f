"""The store's files and sources by themselves."""

from __future__ import annotations

import fcntl
import http.server
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from proxima.contracts.backend import CancelToken
from proxima.errors import UsageError
from proxima.plugins.scan import FoundPlugin, scan
from proxima.store.addresses import check_address, file_address, path_of
from proxima.store.errors import FetchError
from proxima.store.fetch import Fetcher, sweep
from proxima.store.job import Job
from proxima.store.layout import Layout
from proxima.store.pointer import KEYS, pointer_text, read_pointer
from proxima.store.pylock import Pinned, digest, parse_pylock, pylock_text
from proxima.store.resolve.pip import explained
from proxima.store.resolve.resolver import without_secrets
from proxima.store.resolve.uv import Uv
from proxima.store.room import Room, is_lived_in
from proxima.store.sources import Source, parse_source

PIN = Pinned("leaf", "1.0", "https://user:secret@index.example/files/leaf-1.0-py3-none-any.whl", "ab" * 32)


def found() -> FoundPlugin:
    made = FoundPlugin("tea", "tea:plugin", "fine-tea", "1.0", "")
    made.fits, made.kinds, made.trusted = "kernel-api>=1 python==3.11.*", "tools views", True
    return made


def test_a_pointer_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    (tmp_path / "current" / "tea").write_text(pointer_text(found(), "1.0-abc"))
    read = read_pointer(str(tmp_path), "tea")
    assert read is not None
    assert (read.target, read.distribution, read.version) == ("tea:plugin", "fine-tea", "1.0")
    assert (read.fits, read.kinds, read.trusted, read.origin) == (found().fits, "tools views", True, "store")
    assert read.base == f"{tmp_path}/versions/tea/1.0-abc/site"


@pytest.mark.parametrize("line", range(len(KEYS) + 1))
def test_a_pointer_that_lacks_a_line_is_a_plugin_that_cannot_run(tmp_path: Path, line: int) -> None:
    (tmp_path / "current").mkdir()
    lines = pointer_text(found(), "1.0-abc").splitlines()
    del lines[line]
    (tmp_path / "current" / "tea").write_text("\n".join(lines))
    (read,) = scan([], str(tmp_path))
    assert (read.id, read.target, read.origin) == ("tea", "", "store")


def test_a_lock_is_what_the_specification_says_and_holds_no_password() -> None:
    text = pylock_text([PIN])
    data = tomllib.loads(text)
    assert data["lock-version"] == "1.0"
    assert data["packages"] == [
        {
            "name": "leaf",
            "version": "1.0",
            "wheels": [
                {
                    "name": "leaf-1.0-py3-none-any.whl",
                    "url": "https://index.example/files/leaf-1.0-py3-none-any.whl",
                    "hashes": {"sha256": "ab" * 32},
                }
            ],
        }
    ]
    assert "secret" not in text
    (read,) = parse_pylock(data)
    assert digest([read]) == digest([PIN]), "the same wheels, wherever they come from"
    assert digest([read]) != digest([])


def test_of_several_wheels_the_one_for_this_interpreter_is_taken() -> None:
    names = ["leaf-1.0-cp27-none-any.whl", "leaf-1.0-py3-none-any.whl", "leaf-1.0-cp311-cp311-win32.whl"]
    wheels = [{"url": f"https://index.example/{name}", "hashes": {}} for name in names]
    lock = {"lock-version": "1.0", "packages": [{"name": "Leaf", "version": "1.0", "wheels": wheels}]}
    (pin,) = parse_pylock(lock)
    assert (pin.name, pin.file_name) == ("leaf", names[1])
    with pytest.raises(ValueError, match="branch has no wheel"):
        parse_pylock(lock | {"packages": [{"name": "branch", "version": "1.0", "sdist": {"url": "x"}}]})
    with pytest.raises(KeyError, match="lock-version"):
        parse_pylock({"packages": []})


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("tea", Source("index", "tea")),
        ("pypi:tea", Source("index", "tea")),
        ("tea[milk]>=1,<2", Source("index", "tea[milk]", ">=1,<2")),
        ("https://index.example/tea-1.0-py3-none-any.whl",) * 2,
    ],
)
def test_sources(text: str, source: Source | str) -> None:
    assert parse_source(text) == (Source("url", text) if isinstance(source, str) else source)


def test_a_bare_word_is_never_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tea").mkdir()
    (tmp_path / "tea" / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert parse_source("tea") == Source("index", "tea")
    assert parse_source("./tea") == Source("project", str(tmp_path / "tea"))


@pytest.mark.parametrize("text", ["", "-tea", "tea @ x", "../tea", "tea; python_version>'3'", "--index-url=x", "a b"])
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text)


@pytest.mark.parametrize(
    "url",
    [
        "http://index.example/tea-1.0-py3-none-any.whl",
        "ftp://index.example/tea-1.0-py3-none-any.whl",
        "https://index.example/tea.tar.gz",
        "https://index.example/..%2ftea.whl%00",
        "http://127.0.0.1.example/tea-1.0-py3-none-any.whl",
        "https://[x/tea-1.0-py3-none-any.whl",
        "https://a..b/tea-1.0-py3-none-any.whl",
        "https://index.example:x/tea-1.0-py3-none-any.whl",
        "https:///tea-1.0-py3-none-any.whl",
        "https://index.example/\x1btea-1.0-py3-none-any.whl",
        "https://index.example/tea-1.0-py3-none-any.whl#md5=0",
        "https://index.example/tea-1.0-py3-none-any.whl#sha256=AB",
    ],
)
def test_addresses_that_nobody_should_install_from(url: str) -> None:
    with pytest.raises(UsageError):
        check_address(url)


@pytest.mark.parametrize("path", ["/a b/c", "/a%20b#c?d", "/\N{LATIN SMALL LETTER A WITH DIAERESIS}/'\"\n"])
def test_an_address_of_a_file_leads_back_to_it(path: str) -> None:
    assert file_address(path).isascii()
    assert path_of(file_address(path)) == path
    assert path_of("https://index.example/a") == ""
    assert Source("wheel", f"{path}/tea-1.00-py3-none-any.whl").pin.path == f"{path}/tea-1.00-py3-none-any.whl"


def test_what_an_address_tells_of_its_wheel_is_taken_and_checked() -> None:
    url = "https://index.example/\N{LATIN SMALL LETTER A WITH DIAERESIS} b/Tea_Pot-1.00-py3-none-any.whl?a=%20"
    digest = "ab" * 32
    quoted = url.replace("\N{LATIN SMALL LETTER A WITH DIAERESIS} ", "%C3%A4%20")
    assert Source("url", f"{url}#sha256={digest}").pin == Pinned("tea-pot", "1.0", quoted, digest)
    for name in ("tea-1.0-py3-none-any (1).whl", "tea.whl", "tea-latest-py3-none-any.whl"):
        with pytest.raises(UsageError, match="is not called as wheels are") as refused:
            _ = Source("wheel", f"/{name}").pin
        assert "give it the name that it was built with" in str(refused.value.hint)


def test_addresses_of_this_machine_need_no_https() -> None:
    for host in ("localhost:8000", "127.0.0.1", "[::1]:80"):
        check_address(f"http://{host}/tea-1.0-py3-none-any.whl")


class Asked(http.server.BaseHTTPRequestHandler):
    headers_seen: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.headers_seen.append(self.headers["Authorization"])
        self.send_response(302)
        self.send_header("Location", "file:///etc/passwd" if "file" in self.path else "/again-1.0-py3-none-any.whl")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Tests read what is printed."""


@pytest.fixture
def site() -> Iterator[int]:
    Asked.headers_seen.clear()
    server = http.server.HTTPServer(("127.0.0.1", 0), Asked)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["file", "loop"])
def test_a_redirection_leads_to_no_file_and_not_in_circles(tmp_path: Path, site: int, path: str) -> None:
    pin = Pinned("leaf", "1.0", f"http://127.0.0.1:{site}/{path}-1.0-py3-none-any.whl")
    with pytest.raises(FetchError, match="cannot fetch"):
        Fetcher(str(tmp_path)).fetch([pin], Job())
    assert list(tmp_path.iterdir()) == []


def test_an_index_s_password_goes_to_its_own_host_alone_and_into_no_message(tmp_path: Path, site: int) -> None:
    index = f"http://user:secret@127.0.0.1:{site}/simple/"
    for host in ("127.0.0.1", "localhost"):
        pin = Pinned("leaf", "1.0", f"http://{host}:{site}/file-1.0-py3-none-any.whl")
        with pytest.raises(FetchError) as refused:
            Fetcher(str(tmp_path), [index]).fetch([pin], Job())
        assert "secret" not in str(refused.value)
    assert [bool(each) for each in Asked.headers_seen] == [True, False]
    assert without_secrets("error at https://user:secret@index.example/x") == "error at https://index.example/x"


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_host_that_cannot_be_one_is_said_so(tmp_path: Path, host: str) -> None:
    with pytest.raises(FetchError, match="cannot fetch"):
        Fetcher(str(tmp_path)).fetch([Pinned("leaf", "1.0", f"http://{host}/leaf-1.0-py3-none-any.whl")], Job())


def test_what_is_being_fetched_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel, cache = tmp_path / "leaf-1.0-py3-none-any.whl", tmp_path / "cache"
    wheel.write_bytes(b"leaf")
    cache.mkdir()
    swept = []

    class Token(CancelToken):
        """Asked at each piece that has come in."""

        @property
        def cancelled(self) -> bool:
            (cache / ".new-left").touch()
            sweep(str(cache))
            swept.append(sorted(path.name[:5] for path in cache.iterdir()))
            return False

    def flock(*arguments: Any) -> None:
        monkeypatch.undo()
        sweep(str(cache))  # before the file is locked for the first time
        assert list(cache.iterdir()) == []
        fcntl.flock(*arguments)

    monkeypatch.setattr("proxima.store.fetch.fcntl.flock", flock)
    _, path = Fetcher(str(cache)).fetch_one(Source("wheel", str(wheel)).pin, Job(cancel=Token()))
    assert Path(path).read_bytes() == b"leaf"
    assert swept == [[".new-"]], "the one that is being fetched, and not the one that was left"
    assert [each.name for each in cache.iterdir()] == [Path(path).parent.name]


def test_what_resolvers_say_is_understood() -> None:
    uv = Uv(("uv",))
    said = (
        "error: No solution found when resolving dependencies\n  cause: Because tea was not found in the package"
        " registry and you require tea, we can conclude that your requirements are unsatisfiable."
    )
    assert type(uv.explain(said)).__name__ == "NotFoundError"
    said = said.replace("tea was not found in the package registry", "tea==1 depends on leaf<2 and leaf>=2")
    assert "tea==1 depends on leaf<2 and leaf>=2" in str(uv.explain(said))
    assert type(uv.explain("error: the network is down")).__name__ == "StoreError"
    said = (
        "ERROR: Cannot install tea\nINFO: The conflict is caused by:\n    tea 1.0 depends on proxima-kernel>=2\n"
        "    The user requested (constraint) proxima-kernel\n\nTo fix this you could try\nERROR: ResolutionImpossible"
    )
    words = "tea 1.0 depends on proxima-kernel>=2; Proxima brings its own proxima-kernel"
    assert str(explained("pip", said)).endswith(words)
    said = (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)': /simple/tea/\n"
        "ERROR: Could not find a version that satisfies the requirement tea (from versions: none)"
    )
    assert type(explained("pip", said)).__name__ == "StoreError", "nobody knows whether there is one"
    assert type(explained("pip", said.partition("\n")[2])).__name__ == "NotFoundError"


def test_a_layout_makes_nothing(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "store"), str(tmp_path / "cache"))
    assert layout.version("tea", "1.0-abc") == f"{layout.versions('tea')}/1.0-abc"
    assert list(tmp_path.iterdir()) == []


HOLD = "import fcntl, sys, time; file = open(sys.argv[1]); fcntl.flock(file, 2); print(flush=True); time.sleep(9)"


@pytest.mark.parametrize("seconds", [0.2, 9])
def test_a_room_whose_process_is_gone_is_lived_in_only_while_its_lock_stays_held(
    tmp_path: Path, seconds: float
) -> None:
    room = Room(Layout(str(tmp_path / "store"), str(tmp_path / "cache")))
    mine = Path(room.path)
    assert is_lived_in(str(mine))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    other = mine.parent / f"room-{gone.pid}-00"
    other.mkdir()
    assert not is_lived_in(str(other))
    (other / "lock").touch()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(other / "lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    timer = threading.Timer(seconds, holder.kill)
    timer.start()
    assert is_lived_in(str(other)) == (seconds > 1)
    timer.cancel()
    holder.kill()
    holder.communicate()
    room.close()
    assert not mine.exists()
    assert not is_lived_in(str(mine))
