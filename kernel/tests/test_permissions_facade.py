import threading
import time

import pytest

from proxima.errors import PermissionDeniedError, StorageError
from proxima.events import EventBus, PermissionUsed
from proxima.paths import Paths
from proxima.permissions import Permission, Permissions
from proxima.permissions.facade import MAX_DENIALS

DECLARED = ("network", "file_read", "execute_circuits", "terminal.run:git *")


class Answers:
    """A user who answers from a list."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def ask(self, request):
        self.requests.append(request)
        return self.answers.pop(0)


@pytest.fixture
def paths(tmp_path):
    return Paths.under(str(tmp_path / "home"))


@pytest.fixture
def make(paths):
    opened = []

    def make(*answers, first_party=False, **options):
        user = Answers(*answers)
        permissions = Permissions.open(paths, user, workspace="/srv/ws", **options)
        opened.append(permissions)
        assert permissions.declare("plug", "1.0", DECLARED, first_party=first_party) == []
        return permissions, user

    yield make
    for each in opened:
        each.close()


def outcomes(permissions):
    return [(row.outcome, row.permission, row.scope) for row in permissions.audit.search()][::-1]


def test_always_asks_once_and_records_grant_and_uses(make):
    permissions, user = make("always")
    permissions.use("plug", "network:github.com", target="https://github.com/x", run_id="r1", reason="to fetch")
    permissions.use("plug", "network:github.com")
    (request,) = user.requests
    assert (request.plugin, request.version, str(request.permission)) == ("plug", "1.0", "network:github.com")
    assert (request.target, request.reason, request.run_id) == ("https://github.com/x", "to fetch", "r1")
    assert outcomes(permissions) == [
        ("granted", "network:github.com", "always"),
        ("used", "network:github.com", "always"),
        ("used", "network:github.com", "always"),
    ]
    again, user = make()
    again.use("plug", "network:github.com")
    assert user.requests == []


def test_once_asks_again_at_the_next_use(make):
    permissions, user = make("once", "once")
    permissions.use("plug", "network:a.example")
    permissions.use("plug", "network:a.example")
    assert len(user.requests) == 2


def test_session_ends_with_the_session(make):
    permissions, user = make("session")
    permissions.use("plug", "network:a.example")
    permissions.use("plug", "network:a.example")
    assert len(user.requests) == 1
    again, user = make("deny")
    with pytest.raises(PermissionDeniedError):
        again.use("plug", "network:a.example")


def test_deny_names_the_permission_and_how_to_grant_it_and_does_not_ask_again(make):
    permissions, user = make("deny")
    for _ in range(2):
        with pytest.raises(PermissionDeniedError, match=r"plug was denied network:a\.example on x") as caught:
            permissions.use("plug", "network:a.example", target="x")
        assert caught.value.hint == "to allow it: `proxima plugin permissions plug grant network:a.example`."
        assert caught.value.plugin == "plug"
        assert caught.value.exit_code == 4
    assert len(user.requests) == 1
    assert [each[0] for each in outcomes(permissions)] == ["denied", "blocked", "blocked"]


def test_what_is_not_declared_is_blocked_without_asking(make):
    permissions, user = make()
    for asked in ("subprocess", "network:localhost", "terminal.run:rm x", "terminal.run:git x; rm y"):
        with pytest.raises(PermissionDeniedError, match="its manifest does not declare it"):
            permissions.use("plug", asked)
    assert user.requests == []
    assert {each[0] for each in outcomes(permissions)} == {"blocked"}


def test_what_the_grammar_refuses_is_blocked_and_recorded(make):
    permissions, _ = make()
    permissions.declare("wide", "1", ["file_read:all"], first_party=True)
    permissions.use("wide", "file_read:/etc/hostname")
    with pytest.raises(PermissionDeniedError, match="never granted"):
        permissions.use("wide", "file_read:~", target="~")
    assert outcomes(permissions)[-1] == ("blocked", "file_read:~", None)


def test_a_manifest_that_asks_for_the_impossible_keeps_the_rest(make):
    permissions, _ = make()
    refused = permissions.declare("other", "1", ["file_read:/", "execute_circuits", "fly"], first_party=True)
    assert [str(each).split(":")[0] for each in refused] == ["permission 'file_read", "permission 'fly'"]
    permissions.use("other", "execute_circuits")
    with pytest.raises(PermissionDeniedError):
        permissions.use("other", "file_read:/srv/x")


def test_first_party_plugins_are_not_asked_about(make):
    permissions, user = make(first_party=True)
    permissions.use("plug", "execute_circuits")
    permissions.use("plug", "file_read:/srv/ws/bell.qasm")
    permissions.use("plug", "terminal.run:git status")
    assert user.requests == []
    assert [each[0] for each in outcomes(permissions)] == ["used"] * 3


def test_nobody_to_ask_is_denied(paths):
    permissions = Permissions.open(paths)
    permissions.declare("plug", "1.0", DECLARED)
    with pytest.raises(PermissionDeniedError):
        permissions.use("plug", "network:a.example")
    permissions.close()


def test_uses_are_published(make):
    bus = EventBus()
    permissions, _ = make("deny", first_party=False, publish=bus.publish)
    with pytest.raises(PermissionDeniedError):
        permissions.use("plug", "network:a.example", target="x", run_id="r1")
    (event,) = bus.replay(PermissionUsed)
    assert (event.plugin, event.permission, event.target, event.outcome, event.run_id) == (
        "plug",
        "network:a.example",
        "x",
        "blocked",
        "r1",
    )


def test_threads_that_want_the_same_are_asked_about_once(make):
    class Slow(Answers):
        def ask(self, request):
            time.sleep(0.05)
            return super().ask(request)

    permissions, _ = make()
    user = permissions._consent = Slow("session")
    threads = [threading.Thread(target=permissions.use, args=("plug", "network:a.example")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(user.requests) == 1
    assert [each[0] for each in outcomes(permissions)] == ["granted"] + ["used"] * 4


def test_a_use_that_cannot_be_recorded_does_not_happen(make):
    permissions, _ = make(first_party=True)
    permissions._database.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError):
        permissions.use("plug", "execute_circuits")


def test_a_damaged_database_grants_nothing_and_is_kept(make, paths, tmp_path):
    permissions, _ = make("always")
    permissions.use("plug", "network:a.example")
    permissions.close()
    database = tmp_path / "home" / "data" / "permissions.sqlite"
    database.write_bytes(b"\xff" * 8192)
    told = []
    again, user = make("deny", on_recovered=told.append)
    assert len(told) == 1
    with pytest.raises(PermissionDeniedError):
        again.use("plug", "network:a.example")
    assert len(user.requests) == 1


def test_a_plugin_cannot_wear_the_user_down_with_ever_new_questions(make):
    permissions, user = make(*["deny"] * MAX_DENIALS)
    for number in range(MAX_DENIALS + 30):
        with pytest.raises(PermissionDeniedError):
            permissions.use("plug", f"network:host{number}.example")
    assert len(user.requests) == MAX_DENIALS
    assert len(permissions.grants.decisions("plug")) == MAX_DENIALS


def test_closing_writes_what_was_only_counted(make):
    permissions, _ = make(first_party=True)
    for _ in range(500):
        permissions.use("plug", "execute_circuits")
    permissions.close()
    again, _ = make()
    rows = again.audit.search(outcome="used")
    assert sum(row.count for row in rows) == 500
    assert len(rows) < 50


def test_without_a_home_they_are_forgotten_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        passing = Permissions.open(None)
        passing.declare("tea", "1.0", ["database"])
        assert not passing.grants.decisions("tea")
        passing.grants.grant("tea", Permission.parse("database"))
        assert passing.grants.check("tea", Permission.parse("database")).granted
        assert outcomes(passing) == [("granted", "database", "always")]
        passing.close()
    assert list(tmp_path.iterdir()) == []
