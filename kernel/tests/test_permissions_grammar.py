import os
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxima.errors import UsageError
from proxima.paths import Paths, user_home
from proxima.permissions import KINDS, Permission

parse = Permission.parse
RISKS = ("low", "medium", "high", "critical")
ROOT = os.path.realpath("/srv")  # its names need not exist

names = st.text(st.sampled_from("abcD9 .-_:*é"), min_size=1, max_size=5).filter(
    lambda name: name.strip() == name and name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/".join((ROOT, *parts)))
labels = st.from_regex(r"[a-z]([a-z0-9-]{0,4}[a-z0-9])?", fullmatch=True)
hosts = st.one_of(
    st.lists(labels, min_size=1, max_size=3).map(".".join),
    st.ip_addresses(v=4).map(str),
)
ports = st.one_of(st.just(""), st.just(":443"), st.integers(1, 65535).map(lambda n: f":{n}"))
patterns = st.from_regex(r"([ab*;-]([ab *;-]{0,4}[ab*;-])?)?", fullmatch=True)
texts = st.one_of(
    st.sampled_from([kind for kind in KINDS if kind != "secrets"]),
    st.from_regex(r"secrets:[A-Z][A-Z0-9_]{0,9}", fullmatch=True),
    st.tuples(
        st.sampled_from(["file_read", "file_write"]), st.one_of(st.sampled_from(["workspace", "all"]), paths)
    ).map(":".join),
    st.tuples(hosts, ports).map(lambda pair: f"network:{pair[0]}{pair[1]}"),
    patterns.map(lambda pattern: f"terminal.run:{pattern}" if pattern else "terminal.run"),
)
permissions = texts.map(parse)
# Few enough that related ones meet.
close = st.one_of(
    st.sampled_from(
        ["network", "network:a.example", "network:a.example:443", "network:a.example:80", "network:localhost"]
    ),
    st.lists(st.sampled_from("ab"), max_size=3).map(lambda parts: "/".join(("file_read:" + ROOT, *parts))),
    st.sampled_from(["file_read", "file_read:all", "file_write"]),
    patterns.map(lambda pattern: f"terminal.run:{pattern}" if pattern else "terminal.run"),
).map(parse)


@settings(deadline=None)
@given(permissions)
def test_canonical_text_parses_to_the_same_permission(permission):
    assert parse(str(permission)) == permission
    assert Permission.stored(str(permission)) == permission


@settings(deadline=None)
@given(permissions)
def test_each_permission_has_a_risk_and_words(permission):
    assert permission.risk in RISKS
    assert permission.describe().isprintable()


@settings(deadline=None)
@given(st.one_of(permissions, close), st.sampled_from([None, ROOT + "/a"]))
def test_covers_is_reflexive(permission, workspace):
    assert permission.covers(permission, workspace=workspace)


@settings(deadline=None)
@given(close, close, close, st.sampled_from([None, ROOT + "/a"]))
def test_covers_is_transitive(one, two, three, workspace):
    if one.covers(two, workspace=workspace) and two.covers(three, workspace=workspace):
        assert one.covers(three, workspace=workspace)


@settings(deadline=None)
@given(close, close)
def test_covering_never_lowers_the_risk(one, two):
    if one.covers(two):
        assert RISKS.index(one.risk) >= RISKS.index(two.risk)


@settings(deadline=None)
@given(
    st.from_regex(r"[ab*]([ab* ]{0,5}[ab*])?", fullmatch=True), st.from_regex(r"[ab]([ab ]{0,7}[ab])?", fullmatch=True)
)
def test_patterns_match_as_fnmatch_does(pattern, text):
    from fnmatch import fnmatchcase

    covered = parse(f"terminal.run:{pattern}").covers(parse(f"terminal.run:{text}"))
    assert covered == fnmatchcase(text, pattern)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text):
    try:
        permission = parse(text)
    except UsageError:
        return
    assert parse(str(permission)) == permission


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("file_read", "file_read:workspace"),
        ("file_write:workspace", "file_write:workspace"),
        ("file_read:/srv//x/./y/", "file_read:/srv/x/y"),
        ("file_read://srv/x", "file_read:/srv/x"),
        ("network:GitHub.com", "network:github.com"),
        ("network:github.com:443", "network:github.com"),
        ("network:github.com:8443", "network:github.com:8443"),
        ("network:xn--bcher-kva.example", "network:xn--bcher-kva.example"),
        ("terminal.run:git **", "terminal.run:git *"),
        ("subprocess", "subprocess"),
    ],
)
def test_canonical_form(text, canonical):
    assert str(parse(text)) == canonical


def test_the_guides_example_parses():
    for text in ("execute_circuits", "file_read", "file_write:workspace", "network:github.com"):
        parse(text)


def test_a_path_may_start_at_the_home_directory():
    assert parse("file_read:~/data").value == os.path.realpath(os.path.join(user_home(), "data"))


REFUSED = [
    "",
    "files",
    "File_read",
    "execute_circuits:all",
    "gpu:0",
    "network:",
    "file_read:",
    " network",
    "network: a.example",
    "network:a.example ",
    "network:a\0.example",
    "network:a.example\n",
    "file_read:/srv/\u202eevil",
    "file_read:" + "/a" * 3000,
    # paths
    "file_read:data",
    "file_read:./data",
    "file_read:~root/x",
    "file_read:/srv/../etc",
    "file_read:/srv/..",
    "file_read:/",
    "file_read://",
    "file_read:/.",
    "file_read:~",
    "file_read:~/",
    "file_write:~/.",
    # hosts
    "network:a.example.",
    "network:.a.example",
    "network:a..example",
    "network:-a.example",
    "network:a_b.example",
    "network:*.example",
    "network:bücher.example",
    "network:ａ.example",
    "network:a.example/path",
    "network:user@a.example",
    "network:127.1",
    "network:2130706433",
    "network:0x7f.0.0.1",
    "network:127.0.0.0x1",
    "network:127.0.0.01",
    "network:256.1.1.1",
    "network:" + "a" * 64 + ".example",
    "network:" + "a." * 127 + "example",
    # ports
    "network:a.example:",
    "network:a.example:0",
    "network:a.example:65536",
    "network:a.example:080",
    "network:a.example:+80",
    "network:a.example:8٠",
    "network:a.example:80:80",
    # IPv6
    "network:::1",
    "network:[::1]",
    "network:[2001:db8::1]:443",
    "network:[::1",
    "network:[::1]80",
    "network:[::1%eth0]",
    "network:[::ffff:127.0.0.1]",
    "network:[a.example]",
    # rules
    "terminal.",
    ".run:x",
    "terminal.Run:x",
    "terminal.run: git",
    "terminal.run:git\tx",
]


@pytest.mark.parametrize("text", REFUSED)
def test_refuses(text):
    with pytest.raises(UsageError):
        parse(text)


def own_directories():
    paths = Paths.default()
    return [getattr(paths, name) for name in Paths.__slots__]


def test_refuses_every_ancestor_of_home_and_of_proximas_directories_and_all_in_those():
    for place in (user_home(), *own_directories()):
        while True:
            for kind in ("file_read", "file_write"):
                with pytest.raises(UsageError, match="never granted"):
                    parse(f"{kind}:{place}")
            if place == os.path.dirname(place):
                break
            place = os.path.dirname(place)
    for place in own_directories():
        with pytest.raises(UsageError, match="in Proxima's own directories"):
            parse(f"file_read:{place}/permissions.sqlite")


def test_refuses_ancestors_of_a_proxima_home_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PROXIMA_HOME", str(tmp_path / "a" / "b"))
    for place in ("a", "a/b", "a/b/data", "a/b/data/x"):
        with pytest.raises(UsageError, match="never granted"):
            parse(f"file_write:{tmp_path}/{place}")
    assert parse(f"file_write:{tmp_path}/a/c").value == os.path.realpath(tmp_path / "a" / "c")


def test_refuses_a_symbolic_link_to_what_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(user_home())
    (tmp_path / "up").symlink_to("/")
    for place in ("link", "up", "up/", "link/."):
        with pytest.raises(UsageError, match="never granted"):
            parse(f"file_read:{tmp_path}/{place}")


def test_a_symbolic_link_is_followed_once_when_it_is_parsed(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one")
    granted = parse(f"file_read:{link}")
    link.unlink()
    link.symlink_to(tmp_path / "two")
    assert granted.covers(parse(f"file_read:{tmp_path}/one/x"))
    assert not granted.covers(parse(f"file_read:{link}/x"))


def test_a_link_inside_a_granted_directory_does_not_lead_out(tmp_path):
    (tmp_path / "granted").mkdir()
    (tmp_path / "granted" / "link").symlink_to(tmp_path)
    assert not parse(f"file_read:{tmp_path}/granted").covers(parse(f"file_read:{tmp_path}/granted/link/secret"))


@settings(deadline=None)
@given(st.sampled_from(REFUSED + ["file_read:" + place for place in (user_home(), *own_directories())]), permissions)
def test_nothing_refused_is_ever_covered(text, granted):
    # What `covers` compares is made by `parse`, which refuses; there is no second way in.
    with pytest.raises(UsageError):
        granted.covers(parse(text))


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("file_read:all", "file_read"),
        ("file_read:all", "file_read:/srv/x"),
        ("file_read:/srv/data", "file_read:/srv/data"),
        ("file_read:/srv/data", "file_read:/srv/data/a/b"),
        ("network", "network:github.com"),
        ("network", "network:8.8.8.8"),
        ("network:github.com", "network:github.com:443"),
        ("terminal.run", "terminal.run:git push"),
        ("terminal.run", "terminal.run:git status; rm -r ."),
        ("terminal.run:git *", "terminal.run:git status"),
        ("terminal.run:git *", "terminal.run:git log *"),
        ("terminal.run:* --dry-run", "terminal.run:git push --dry-run"),
        ("terminal.run:a; b", "terminal.run:a; b"),
        ("terminal.run:ls [ab]?*", "terminal.run:ls [ab]?.py"),
    ],
)
def test_covers(granted, asked):
    assert parse(granted).covers(parse(asked))


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("file_read", "file_read:all"),
        ("file_read", "file_read:/srv/x"),
        ("file_read:/srv/x", "file_read"),
        ("file_read:/srv/data", "file_read:/srv/database"),
        ("file_read:/srv/data", "file_read:/srv"),
        ("file_write:all", "file_read:/srv/x"),
        ("file_read:all", "file_write"),
        ("network", "network:github.com:22"),
        ("network", "network:localhost"),
        ("network", "network:intranet"),
        ("network", "network:printer.local"),
        ("network", "network:127.0.0.1"),
        ("network", "network:169.254.169.254"),
        ("network", "network:10.0.0.1"),
        ("network:github.com", "network"),
        ("network:github.com", "network:api.github.com"),
        ("network:github.com", "network:github.com:80"),
        ("network:github.com:80", "network:github.com"),
        ("subprocess", "terminal.run:git push"),
        ("terminal.run:git *", "terminal.run"),
        ("terminal.run:git *", "terminal.run:git"),
        ("terminal.run:git *", "terminal.run:gitk x"),
        ("terminal.run:git *", "terminal.run:git status; rm -r ."),
        ("terminal.run:git *", "terminal.run:git status && curl evil"),
        ("terminal.run:git *", "terminal.run:git log $(rm -r .)"),
        ("terminal.run:git *", "terminal.run:git log `rm -r .`"),
        ("terminal.run:git * x", "terminal.run:git x"),
        ("terminal.run:ls [ab]?*", "terminal.run:ls ax"),
        ("terminal.run:git *", "terminal.read:git x"),
    ],
)
def test_does_not_cover(granted, asked):
    assert not parse(granted).covers(parse(asked))


def test_the_workspace_covers_what_is_in_it_where_it_is_known():
    granted = parse("file_read")
    assert granted.covers(parse("file_read:/srv/ws/bell.qasm"), workspace="/srv/ws")
    assert not granted.covers(parse("file_read:/srv/ws2/bell.qasm"), workspace="/srv/ws")
    assert not granted.covers(parse("file_read:/srv/ws/bell.qasm"))
    assert parse("file_read:/srv").covers(granted, workspace="/srv/ws")


def test_a_workspace_at_home_does_not_open_the_home_directory():
    granted = parse("file_read")
    assert granted.covers(granted, workspace=user_home())
    assert not granted.covers(parse("file_read:~/.ssh/id_ed25519"), workspace=user_home())
    assert not granted.covers(parse("file_read:/etc/passwd"), workspace="/")


def test_permissions_are_immutable_and_hashable():
    assert len({parse("network"), parse("network"), parse("network:a.example")}) == 2
    with pytest.raises(AttributeError):
        parse("network").kind = "gpu"


def test_descriptions_say_what_is_dangerous():
    assert "dangerous" in parse("file_write:all").describe()
    assert "anything anywhere" in parse("network").describe()
    assert "port 443" in parse("network:github.com").describe()
    assert "this computer" in parse("network:localhost:8080").describe()
    assert parse("file_write:all").risk == parse("subprocess").risk == "critical"
    texts = [f"{kind}:TOKEN" if kind == "secrets" else kind for kind in KINDS]
    assert all(letter in string.printable for text in texts for letter in parse(text).describe())


def test_a_secret_is_granted_by_its_whole_name_only():
    granted = parse("secrets:IBM_TOKEN")
    assert granted.risk == "high"
    assert "IBM_TOKEN" in granted.describe()
    assert not granted.covers(parse("secrets:IBM"))
    assert not granted.covers(parse("secrets:IBM_TOKEN2"))
    for text in ("secrets", "secrets:", "secrets:*", "secrets:ibm_token", "secrets:A B", "secrets:A/B", "secrets:1A"):
        with pytest.raises(UsageError, match=r"secret|colon"):
            parse(text)
