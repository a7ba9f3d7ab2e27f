import multiprocessing
import sqlite3
from contextlib import closing

import pytest

from proxima.errors import UsageError
from proxima.paths import Paths
from proxima.permissions import AuditLog, Grants, Permission, Source, open_permissions
from proxima.permissions.grants import MIGRATIONS
from proxima.storage import open_database

parse = Permission.parse
DECLARED = ("network", "file_read:/srv/data", "execute_circuits")


@pytest.fixture
def database(tmp_path):
    database = open_permissions(Paths.under(str(tmp_path)))
    yield database
    database.close()


def make(database, **options):
    grants = Grants(database, AuditLog(database), workspace="/srv/ws")
    grants.declare("plug", "1.0", map(parse, DECLARED), **options)
    return grants


@pytest.fixture
def grants(database):
    return make(database)


def outcome(grants, text, plugin="plug"):
    return grants.check(plugin, parse(text)).outcome


def test_nothing_is_granted_to_begin_with(grants):
    assert outcome(grants, "network") == "undecided"
    assert not grants.check("plug", parse("network")).granted


def test_what_is_not_declared_can_never_be_granted(grants):
    assert outcome(grants, "subprocess") == "undeclared"
    assert outcome(grants, "network", plugin="unknown") == "undeclared"
    for text in ("subprocess", "file_read:/srv", "file_read:all", "network:localhost"):
        with pytest.raises(UsageError, match="plug does not declare the permission") as caught:
            grants.grant("plug", parse(text))
        assert "It declares: network" in caught.value.hint


def test_a_stored_grant_ends_when_the_manifest_no_longer_declares_it(database, grants):
    grants.grant("plug", parse("network"))
    grants.declare("plug", "2.0", [parse("execute_circuits")])
    assert outcome(grants, "network") == "undeclared"


def test_always_outlives_the_process(database, grants):
    grants.grant("plug", parse("network"))
    decision = make(database).check("plug", parse("network:github.com"))
    assert decision.granted
    assert (decision.scope, decision.permission) == ("always", parse("network"))


def test_a_session_lives_in_memory_only(database, grants):
    grants.grant("plug", parse("network"), scope="session")
    assert outcome(grants, "network") == "granted"
    assert outcome(make(database), "network") == "undecided"


def test_a_narrow_grant_does_not_grant_what_is_wider(grants):
    grants.grant("plug", parse("network:github.com"))
    assert outcome(grants, "network:github.com") == "granted"
    assert outcome(grants, "network:example.org") == "undecided"
    assert outcome(grants, "network") == "undecided"


def test_a_denial_wins_over_a_wider_grant(grants):
    grants.grant("plug", parse("network"))
    grants.deny("plug", parse("network:github.com"))
    assert outcome(grants, "network:github.com") == "denied"
    assert outcome(grants, "network:example.org") == "granted"


def test_a_part_of_a_granted_directory_can_be_denied(database):
    grants = make(database)
    grants.declare("plug", "1", map(parse, ("file_read:/srv", "file_write:/srv")))
    for text in ("file_read:/srv", "file_write:/srv"):
        grants.grant("plug", parse(text))
        assert not grants.denies_part("plug", parse(text))
    grants.deny("plug", parse("file_write:/srv/data"))
    assert not grants.denies_part("plug", parse("file_read:/srv"))
    assert grants.denies_part("plug", parse("file_write:/srv"))
    grants.reset("plug", parse("file_write:/srv/data"))
    grants.deny("plug", parse("file_read:/srv/data"))
    assert grants.denies_part("plug", parse("file_read:/srv"))
    assert grants.denies_part("plug", parse("file_write:/srv"))  # who may write a file could read it
    assert not grants.denies_part("plug", parse("file_read:/srv/other"))


def test_the_latest_answer_wins(grants):
    grants.deny("plug", parse("network"))
    grants.grant("plug", parse("network:github.com"))
    assert outcome(grants, "network:github.com") == "granted"
    assert outcome(grants, "network:example.org") == "undecided"
    grants.deny("plug", parse("network"), scope="session")
    assert outcome(grants, "network:github.com") == "denied"


def test_revoking_holds_across_processes_until_it_is_granted(database, grants):
    grants.grant("plug", parse("network"))
    grants.grant("plug", parse("network:github.com"), scope="session")
    grants.revoke("plug", parse("network"))
    assert outcome(grants, "network:github.com") == outcome(make(database), "network") == "denied"
    grants.grant("plug", parse("network"))
    assert outcome(grants, "network") == outcome(make(database), "network") == "granted"


def test_decisions_are_about_one_plugin_only(grants):
    grants.declare("other", "1", [parse("network")])
    grants.grant("other", parse("network"))
    grants.deny("plug", parse("network"))
    assert outcome(grants, "network", plugin="other") == "granted"
    assert outcome(grants, "network") == "denied"


def test_first_party_plugins_have_what_they_declare_until_it_is_revoked(database):
    grants = make(database, first_party=True)
    assert outcome(grants, "execute_circuits") == "granted"
    assert grants.decisions("plug") == []
    assert outcome(grants, "subprocess") == "undeclared"
    grants.revoke("plug", parse("network"))
    assert outcome(make(database, first_party=True), "network:github.com") == "denied"


def test_the_workspace_is_known_to_grants(database):
    grants = Grants(database, AuditLog(database), workspace="/srv/ws")
    grants.declare("plug", "1", [parse("file_read")])
    grants.grant("plug", parse("file_read"))
    assert outcome(grants, "file_read:/srv/ws/a") == "granted"
    assert outcome(grants, "file_read:/srv/other") == "undeclared"


def test_each_decision_is_in_the_audit_log_with_it(database, grants):
    grants.grant("plug", parse("network"), scope="session")
    grants.deny("plug", parse("network"))
    grants.revoke("plug", parse("execute_circuits"))
    rows = [(each.outcome, each.permission, each.scope, each.version) for each in AuditLog(database).search()]
    assert rows[::-1] == [
        ("granted", "network", "session", "1.0"),
        ("denied", "network", "always", "1.0"),
        ("revoked", "execute_circuits", "always", "1.0"),
    ]


def test_an_unknown_scope_is_a_bug(grants):
    with pytest.raises(ValueError, match="scope must be one of"):
        grants.grant("plug", parse("network"), scope="once")


def _grant_and_revoke(home, barrier, index):
    database = open_permissions(Paths.under(home))
    grants = make(database)
    barrier.wait()
    for number in range(25):
        grants.grant("plug", parse(f"network:host{index}-{number}.example"))
        grants.deny("plug", parse("execute_circuits"))
        grants.grant("plug", parse("execute_circuits"))
    database.close()


def test_two_processes_at_once_lose_no_decision(tmp_path, database):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [context.Process(target=_grant_and_revoke, args=(str(tmp_path), barrier, n)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    stored = make(database).decisions("plug")
    assert len([each for each in stored if each.permission.kind == "network"]) == 50
    assert len([each for each in stored if each.permission.kind == "execute_circuits"]) == 1
    assert len(AuditLog(database).search(limit=1000)) == 150


def test_a_grant_is_for_the_distribution_that_had_the_id_then(database):
    grants = make(database, source=Source("tea", "environment"))
    grants.grant("plug", parse("network"))
    grants.grant("plug", parse("execute_circuits"), scope="session")
    assert outcome(grants, "network") == "granted"
    for source in (Source("thief", "environment"), Source("tea", "store"), Source()):
        grants.declare("plug", "1.0", map(parse, DECLARED), source=source)
        assert outcome(grants, "network") == outcome(grants, "execute_circuits") == "undecided"
        assert grants.reset("plug") == []
    grants.declare("plug", "1.0", map(parse, DECLARED), source=Source("tea", "environment"))
    assert outcome(grants, "network") == "granted"


def test_of_decisions_from_before_they_named_a_distribution_the_denials_alone_hold(tmp_path):
    path = tmp_path / "data" / "permissions.sqlite"
    open_database(str(path), MIGRATIONS[:1], application="proxima-permissions").close()
    with closing(sqlite3.connect(path)) as old, old:
        old.executemany(
            "INSERT INTO grants VALUES ('plug', ?, ?)", [("network", "granted"), ("execute_circuits", "denied")]
        )
        old.execute("INSERT INTO audit VALUES (1, 5.0, 'plug', '1', 'network', 'x', 'granted', 'always', 7, NULL)")
    database = open_permissions(Paths.under(str(tmp_path)))
    grants = make(database, source=Source("tea", "environment"), first_party=True)
    assert outcome(make(database, source=Source("tea", "environment")), "network") == "undecided"
    assert outcome(grants, "execute_circuits") == "denied"
    (row,) = AuditLog(database).search()
    assert (row.time, row.permission, row.target, row.process_id, row.count) == (5.0, "network", "x", 7, 1)
    grants.grant("plug", parse("execute_circuits"))
    assert outcome(grants, "execute_circuits") == "granted"
    database.close()
