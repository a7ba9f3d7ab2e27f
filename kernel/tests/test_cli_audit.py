import time
from datetime import datetime

import pytest

from proxima.cli.audit import since_when
from proxima.errors import PermissionDeniedError, UsageError

EVIL = "\x1b[2Jowned\x07\u202e"


@pytest.fixture
def used(workshop):
    """A plugin that was granted one thing, used it, and was kept from others."""
    workshop.lay_out("tea", permissions=["network:example.org", "file_read:/srv/data"])
    with workshop.kernel() as kernel:
        permissions = kernel.permissions
        workshop_grant = ("network:example.org", "file_read:/srv/data")
        from proxima.permissions import Permission

        for text in workshop_grant:
            permissions.grants.grant("tea", Permission.parse(text))
        permissions.use("tea", "network:example.org", target="example.org:443")
        permissions.use("tea", "file_read:/srv/data/x.csv", target="/srv/data/x.csv")
        for text in ("network:evil.example", "network:evil.example:8080", "subprocess"):
            with pytest.raises(PermissionDeniedError):
                permissions.use("tea", text, target=EVIL)
    return workshop


def permissions_of(workshop, *words):
    return [row["permission"] for row in workshop.json("audit", *words)]


def test_rows_are_shown_newest_first(used):
    code, out, _ = used.main("audit")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["TIME", "PLUGIN", "OUTCOME", "PERMISSION", "SCOPE", "TARGET"]
    assert [line.split()[3] for line in lines[2:]] == ["blocked"] * 3 + ["used"] * 2 + ["granted"] * 2
    assert permissions_of(used)[0] == "subprocess"
    uses = used.proxima("audit", "--outcome", "used", env={"COLUMNS": "200"}).stdout.splitlines()[2:]
    assert uses[0].endswith("file_read:/srv/data/x.csv  always")  # the target is what the permission says
    assert uses[1].endswith("network:example.org        always")


def test_rows_are_found_by_plugin_permission_and_outcome(used):
    blocked = ["subprocess", "network:evil.example:8080", "network:evil.example"]
    assert permissions_of(used, "--outcome", "blocked") == blocked
    assert permissions_of(used, "--permission", "network") == [*blocked[1:], *["network:example.org"] * 2]
    assert permissions_of(used, "--permission", "network:evil.example") == blocked[1:]
    assert permissions_of(used, "--permission", "network:EVIL.example:443") == blocked[1:]
    assert permissions_of(used, "--permission", "network:evil") == []
    assert permissions_of(used, "--permission", "file_read", "--outcome", "used") == ["file_read:/srv/data/x.csv"]
    assert len(permissions_of(used, "--plugin", "tea")) == 7
    assert permissions_of(used, "--plugin", "cake") == []
    assert permissions_of(used, "--permission", "%") == permissions_of(used, "--permission", "' OR 1") == []


def test_rows_are_found_by_time_and_limited(used):
    assert len(permissions_of(used, "--since", "1h")) == 7
    assert permissions_of(used, "--since", "0s") == []
    assert permissions_of(used, "--since", "2999-01-01") == []
    assert len(permissions_of(used, "--limit", "2")) == 2


def test_json_has_every_field(used):
    row = used.json("audit", "--permission", "file_read", "--outcome", "used")[0]
    assert row["plugin"] == "tea"
    assert row["version"] == "1.0"
    assert row["target"] == "/srv/data/x.csv"
    assert row["scope"] == "always"
    assert abs(row["time"] - time.time()) < 100
    assert set(row) == {
        *("time", "plugin", "version", "permission", "target", "outcome", "scope", "process_id", "run_id", "count"),
    }


def test_what_a_plugin_wrote_into_the_record_is_shown_and_not_performed(used):
    done = used.proxima("audit", env={"COLUMNS": "300"})
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert "\\x1b[2Jowned" in done.stdout


def test_what_came_too_fast_is_one_row_that_says_how_many(workshop):
    workshop.lay_out("tea")
    with workshop.kernel() as kernel:
        for number in range(1000):
            with pytest.raises(PermissionDeniedError):
                kernel.permissions.use("tea", "network:evil.example", target=f"evil.example:{number}")
    counted, *single = workshop.json("audit", "--limit", "1000")
    assert {row["count"] for row in single} == {1}
    assert counted["count"] + len(single) == 1000
    line = workshop.proxima("audit", "--limit", "1", env={"COLUMNS": "120"}).stdout.splitlines()[2]
    assert line.endswith(f"evil.example:999 and {counted['count'] - 1} more like it")


def test_time_plugin_and_outcome_are_never_cut_at_80_columns(workshop):
    workshop.lay_out("a-plugin-with-a-long-name")
    with workshop.kernel() as kernel, pytest.raises(PermissionDeniedError):
        kernel.permissions.use("a-plugin-with-a-long-name", "file_read:/srv/" + "x" * 90, target="/srv/" + "x" * 90)
    _, _, row = workshop.proxima("audit", env={"COLUMNS": "80"}).stdout.splitlines()
    assert len(row) <= 80
    assert datetime.fromisoformat(row[:19]).year >= 2026
    assert row[19:].split()[:2] == ["a-plugin-with-a-long-name", "blocked"]


def test_nothing_found_is_said(workshop):
    assert workshop.main("audit")[1] == "Nothing was recorded that matches.\n"
    assert workshop.json("audit") == []


@pytest.mark.parametrize(
    "words", [["--since", "yesterday"], ["--since", "5x"], ["--since", ""], ["--since", "2026-13-01"], ["--limit", "0"],
              ["--limit", "x"], ["--outcome", "lost"], ["--since", "-1h"], ["--since", "0001-01-01"]]
)  # fmt: skip
def test_wrong_options_are_said(workshop, words):
    code, _, err = workshop.main("audit", *words)
    if words[-1] == "0001-01-01":  # long ago, where the system can say so
        assert code in (0, 2)
    else:
        assert code == 2
        assert err.startswith("proxima: error:")


def test_times():
    now = 1_800_000_000.0
    assert since_when("90s", now) == now - 90
    assert since_when("2h", now) == now - 7200
    assert since_when("1w", now) == now - 604800
    assert since_when("2026-11-01T08:30+00:00", now) == 1793521800.0
    assert since_when("2026-11-01", now) == datetime(2026, 11, 1).astimezone().timestamp()
    for text in ("٣h", "1.5h", "h", "1h1h", "now"):
        with pytest.raises(UsageError):
            since_when(text, now)
