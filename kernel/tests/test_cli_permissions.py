import json

import pytest

DECLARED = ["network:example.org", "file_read:/srv/data", "secrets:TOKEN", "network"]


def states(workshop, *words):
    shown = json.loads(workshop.main("plugin", "permissions", "tea", *words, "--json")[1])
    assert shown["plugin"] == "tea"
    return {row["permission"]: row["state"] for row in shown["permissions"]}


def test_shows_what_is_declared_and_what_holds(workshop):
    workshop.lay_out("tea", permissions=DECLARED)
    assert states(workshop) == dict.fromkeys(DECLARED, "undecided")
    code, out, _ = workshop.main("plugin", "permissions", "tea")
    assert code == 0
    assert out.splitlines()[0].split() == ["PERMISSION", "STATE", "RISK", "MEANING"]
    assert any(line.split()[:3] == ["network:example.org", "undecided", "medium"] for line in out.splitlines())


def test_what_is_granted_revoked_and_reset_is_remembered_by_the_next_process(workshop):
    workshop.lay_out("tea", permissions=DECLARED)
    assert workshop.proxima("plugin", "permissions", "tea", "grant", "network:EXAMPLE.org:443").returncode == 0
    assert states(workshop)["network:example.org"] == "granted"
    assert states(workshop)["network"] == "undecided"
    assert workshop.proxima("plugin", "permissions", "tea", "revoke", "network:example.org").returncode == 0
    assert states(workshop)["network:example.org"] == "denied"
    assert workshop.proxima("plugin", "permissions", "tea", "reset", "network:example.org").returncode == 0
    assert states(workshop) == dict.fromkeys(DECLARED, "undecided")


def test_revoking_a_wide_permission_takes_the_narrow_ones_back(workshop):
    workshop.lay_out("tea", permissions=DECLARED)
    states(workshop, "grant", "network:example.org")
    assert states(workshop, "revoke", "network")["network:example.org"] == "denied"
    assert states(workshop)["secrets:TOKEN"] == "undecided"


def test_a_decision_about_something_narrower_is_shown_too(workshop):
    workshop.lay_out("tea", permissions=["network"])
    assert states(workshop, "grant", "network:quantum.example.com") == {
        "network": "undecided",
        "network:quantum.example.com": "granted",
    }
    workshop.lay_out("tea", permissions=[])
    assert states(workshop) == {"network:quantum.example.com": "not declared"}


def test_reset_without_a_permission_forgets_everything(workshop):
    workshop.lay_out("tea", permissions=DECLARED)
    states(workshop, "grant", "network:example.org")
    states(workshop, "revoke", "secrets:TOKEN")
    assert states(workshop, "reset") == dict.fromkeys(DECLARED, "undecided")
    outcomes = [row["outcome"] for row in workshop.json("audit", "--plugin", "tea")]
    assert outcomes == ["revoked", "revoked", "revoked", "granted"]


def test_what_is_not_declared_cannot_be_granted(workshop):
    workshop.lay_out("tea", permissions=["network:example.org"])
    code, _, err = workshop.main("plugin", "permissions", "tea", "grant", "subprocess")
    assert code == 2
    assert "does not declare the permission subprocess" in err


@pytest.mark.parametrize(
    "text", ["network:1.2.3", "file_read:~", "file_write:/", "nonsense", "secrets:lower", "network:a:0"]
)
def test_what_is_no_permission_is_refused(workshop, text):
    workshop.lay_out("tea", permissions=DECLARED)
    for change in ("grant", "revoke", "reset"):
        code, _, err = workshop.main("plugin", "permissions", "tea", change, text)
        assert (code, err.startswith("proxima: error: permission")) == (2, True)
    assert set(states(workshop).values()) == {"undecided"}


def test_wrong_usage_is_said(workshop):
    workshop.lay_out("tea", permissions=DECLARED)
    assert workshop.main("plugin", "permissions", "tea", "grant")[0] == 2
    assert workshop.main("plugin", "permissions", "tea", "gront", "network")[0] == 2
    code, _, err = workshop.main("plugin", "permissions", "toa")
    assert code == 3
    assert "tea" in err


def test_a_plugin_that_is_turned_off_can_be_settled_and_is_not_imported(workshop):
    workshop.lay_out("tea", "raise RuntimeError('imported')", permissions=DECLARED)
    workshop.main("plugin", "disable", "tea")
    assert states(workshop, "grant", "network:example.org")["network:example.org"] == "granted"
    assert workshop.imported() == []


def test_a_plugin_without_permissions(workshop):
    workshop.lay_out("tea")
    assert workshop.main("plugin", "permissions", "tea")[1] == "tea asks for no permissions\n"
    assert states(workshop) == {}


def test_what_the_manifest_asks_for_and_is_never_granted_is_shown_as_refused(workshop):
    package = workshop.lay_out("tea", permissions=["network:example.org"])
    path = package / "proxima-plugin.json"
    path.write_text(path.read_text().replace("network:example.org", "file_read:/"))
    assert states(workshop) == {"file_read:/": "refused"}


def test_what_is_undecided_and_what_is_mistyped_says_what_to_do(workshop):
    workshop.lay_out("tea", permissions=DECLARED)
    out = " ".join(workshop.main("plugin", "permissions", "tea")[1].split())
    assert "`proxima plugin permissions tea grant PERMISSION`" in out
    for permission in DECLARED:
        states(workshop, "grant", permission)
    assert "undecided" not in workshop.main("plugin", "permissions", "tea")[1]
    for text, hint in (("netwrok:a.example", "did you mean network?"), ("network:https://a.example", "the host alone")):
        code, _, err = workshop.main("plugin", "permissions", "tea", "grant", text)
        assert code == 2
        assert hint in err
