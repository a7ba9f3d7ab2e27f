"""A plugin that is updated, rolled back, and asked about again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxima.cli.proposing import lines_of
from proxima.errors import NotFoundError, PermissionDeniedError
from proxima.permissions import Permission
from proxima.store.collect import keep_last
from proxima.store.errors import ProbeError, StoreError
from proxima.store.proposal import Proposal


def test_update_rollback_and_the_three_versions_that_are_kept(shop: Any) -> None:
    with shop.kernel() as kernel:
        store = kernel.store
        for number in range(1, 5):
            shop.plugin("tea", f"{number}.0")
            outcome = store.install("tea") if number == 1 else store.update("tea")
            assert outcome.changed
        assert not store.update("tea").changed
        assert [each.version for each in store.versions("tea")] == ["4.0", "3.0", "2.0"]
        assert store.rollback("tea").version == "3.0"
        assert shop.said() == "3.0"
        assert store.rollback("tea").version == "2.0"
        with pytest.raises(NotFoundError, match="no older version of tea is kept") as refused:
            store.rollback("tea")
        assert "4.0, 3.0, 2.0 (runs now)" in str(refused.value.hint)
        with pytest.raises(NotFoundError, match=r"no version 1\.0 of tea is kept"):
            store.rollback("tea", "1.0")
        assert store.rollback("tea", "4.0").version == "4.0"
        done = [(each["action"], each["version_before"], each["version"]) for each in store.history("tea")]
        assert done[3:] == [
            ("update", "3.0", "4.0"),
            ("rollback", "4.0", "3.0"),
            ("rollback", "3.0", "2.0"),
            ("rollback", "2.0", "4.0"),
        ]
    assert shop.said() == "4.0"
    assert shop.left_behind() == []


def test_rollback_goes_to_what_ran_before_also_after_a_kept_version_was_installed(shop: Any) -> None:
    for version in ("1.0", "1.1"):
        shop.plugin("tea", version)
    with shop.kernel() as kernel:
        store = kernel.store
        store.install("tea", version="1.0")
        store.update("tea")
        store.install("tea", version="1.0")
        assert store.rollback("tea").version == "1.1"
        with pytest.raises(NotFoundError, match="no older version of tea is kept"):
            store.rollback("tea")


def test_an_update_is_announced_and_can_be_pinned(shop: Any) -> None:
    for version in ("1.0", "1.1", "2.0"):
        shop.plugin("tea", version)
    with shop.kernel() as kernel:
        store = kernel.store
        store.install("tea", version="1.0")
        assert store.newer("tea") == "2.0"
        assert store.update("tea", version="1.1").version == "1.1"
        assert store.update("tea").version == "2.0"
        assert store.newer("tea") == ""


def test_an_update_does_not_go_back(shop: Any) -> None:
    shop.plugin("tea", "1.0")
    newest = shop.plugin("tea", "1.1")
    shop.plugin("cake", "1.0")
    shop.plugin("cake", "1.1b1")
    with shop.kernel() as kernel:
        store = kernel.store
        store.install("tea")
        store.install("cake", version="1.1b1")
        newest.rename(shop.root / "yanked")
        for name, version in (("tea", "1.1"), ("cake", "1.1b1")):
            assert store.newer(name) == ""
            outcome = store.update(name)
            assert (outcome.version, outcome.changed) == (version, False)
            assert [each.version for each in store.versions(name)] == [version]
        assert store.update("cake", version="1.0").version == "1.0"
        old = shop.index.directory / "tea-1.0-py3-none-any.whl"
        assert store.update("tea", source=str(old)).version == "1.0"
    assert shop.left_behind() == []


def test_an_update_that_fails_its_trial_leaves_the_old_version(shop: Any) -> None:
    shop.plugin("tea", "1.0")
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    shop.plugin("tea", "2.0", body="raise RuntimeError('the kettle is broken')")
    with shop.kernel() as kernel:
        with pytest.raises(ProbeError, match="the kettle is broken"):
            kernel.store.update("tea")
        last = kernel.store.history("tea")[-1]
        assert (last["action"], last["outcome"]) == ("update", "failed")
        assert "kettle" in str(last["why"])
    assert shop.said() == "1.0"
    assert shop.left_behind() == []
    assert [path.name for path in shop.store.glob("versions/tea/*")] == [shop.pointer().name]


def test_an_update_asks_for_what_is_new_alone(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop.root / "workspace").mkdir()
    monkeypatch.chdir(shop.root / "workspace")  # another test may have left this process in the root directory
    asked: list[Proposal] = []

    def consent(proposal: Proposal) -> Any:
        asked.append(proposal)
        return proposal.asked

    log = "# Changes\n\n## 2.0\n\nWarmer.\n\n## 1.0\n\nFirst.\n"
    shop.plugin("tea", "1.0", permissions=["network:tea.example", "file_read:workspace"])
    shop.plugin("tea", "2.0", permissions=["network:tea.example", "database"], files={"tea/CHANGELOG.md": log})
    with shop.kernel() as kernel:
        kernel.store.install("tea", version="1.0", consent=consent)
        with pytest.raises(PermissionDeniedError, match=r"tea 2\.0 was not installed"):
            kernel.store.update("tea", consent=lambda proposal: None)
        assert shop.said(kernel=kernel) == "1.0", "the old version goes on until the user has answered"
        kernel.store.update("tea", consent=consent)
        granted = [str(each.permission) for each in kernel.permissions.grants.decisions("tea") if each.granted]
        assert sorted(granted) == ["database", "file_read:workspace", "network:tea.example"]
    assert [[str(each) for each in proposal.asked] for proposal in asked] == [
        ["network:tea.example", "file_read:workspace"],
        ["database"],
    ]
    assert asked[1].dropped == ("file_read:workspace",)
    assert asked[1].changelog == "# Changes\n\n## 2.0\n\nWarmer."
    assert asked[1].version_before == "1.0"


def test_a_declined_update_changes_nothing_that_was_granted(shop: Any) -> None:
    shown: list[str] = []

    def decline(proposal: Proposal) -> None:
        shown.extend(lines_of(proposal))

    shop.plugin("tea", "1.0", permissions=["database", "network:tea.example"])
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        grants, network = kernel.permissions.grants, Permission.parse("network:tea.example")
        grants.revoke("tea", network)
        shop.plugin("tea", "1.1", permissions=["network:tea.example", "subprocess"])
        with pytest.raises(PermissionDeniedError):
            kernel.store.update("tea", consent=decline)
        held = [grants.check("tea", Permission.parse(text)).outcome for text in ("database", "subprocess")]
        assert held == ["granted", "undeclared"], "what 1.0 declares is in force, as 1.0 runs"
    text = " ".join(" ".join(shown).split())
    assert "was denied network:tea.example: Connect to" in text
    assert "asks for subprocess: " in text
    assert "has network" not in text


def update_of_another(store: Any) -> None:
    store.update("tea", version="1.5")


def removal(store: Any) -> None:
    store.uninstall("tea")


def the_same_update(store: Any) -> None:
    store.update("tea", version="2.0")


def the_same_update_taken_back(store: Any) -> None:
    store.update("tea", version="2.0")
    store.rollback("tea")


def a_grant_taken_back(store: Any) -> None:
    store.permissions().grants.reset("tea", Permission.parse("database"))


def nothing(store: Any) -> None:
    store.heal()


@pytest.mark.parametrize(
    ("meanwhile", "asked", "changed"),
    [
        (nothing, [("1.0", 1)], True),
        (update_of_another, [("1.0", 1), ("1.5", 1)], True),
        (removal, [("1.0", 1), ("", 2)], True),
        (the_same_update, [("1.0", 1)], False),
        (the_same_update_taken_back, [("1.0", 1), ("1.0", 0)], True),
        (a_grant_taken_back, [("1.0", 1), ("1.0", 2)], True),
    ],
)
def test_what_was_agreed_to_still_holds_or_is_asked_again(
    shop: Any, meanwhile: Callable[[Any], None], asked: list[tuple[str, int]], changed: bool
) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf", permissions=["database"])
    shop.plugin("tea", "1.5", "leaf", permissions=["database"])
    shop.plugin("tea", "2.0", "leaf", permissions=["database", "network:example.org"])
    seen: list[Proposal] = []

    def consent(proposal: Proposal) -> Any:
        if not seen:
            with shop.kernel(**{"store.wait_seconds": 0.1}) as other:
                meanwhile(other.store)
        seen.append(proposal)
        return proposal.asked

    with shop.kernel() as kernel:
        kernel.store.install("tea", version="1.0")
        outcome = kernel.store.update("tea", consent=consent)
    assert [(each.version_before, len(each.asked)) for each in seen] == asked
    assert [any("asked again" in note for note in each.notes) for each in seen] == [False, True][: len(seen)]
    assert (outcome.version, outcome.changed) == ("2.0", changed)
    assert shop.said("tea") == "2.0"
    assert shop.left_behind() == []


def test_a_kept_version_that_was_removed_at_the_question_is_made_anew(shop: Any) -> None:
    for version in ("1.0", "2.0"):
        shop.plugin("tea", version)
    asked = 0

    def consent(proposal: Proposal) -> Any:
        nonlocal asked
        asked += 1
        keep_last(kernel.store.layout, "tea", 1)
        return proposal.asked

    with shop.kernel() as kernel:
        kernel.store.install("tea", version="2.0")
        kernel.store.install("tea", version="1.0")
        assert len(kernel.store.versions("tea")) == 2
        kernel.store.install("tea", version="2.0", consent=consent)
    assert asked == 1, "what was agreed to is the same"
    assert shop.said("tea") == "2.0"
    assert shop.left_behind() == []


def test_another_distribution_that_took_the_name_at_the_question_keeps_it(shop: Any) -> None:
    shop.plugin("tea", "1.0")
    shop.plugin("tea", "1.0", distribution="other-tea", body="def act(): return 'other'")

    def consent(proposal: Proposal) -> Any:
        with shop.kernel() as other:
            other.store.install("other-tea")
        return proposal.asked

    with shop.kernel() as kernel, pytest.raises(StoreError, match="tea is installed from other-tea"):
        kernel.store.install("tea", consent=consent)
    assert shop.said("tea") == "other"
    assert shop.left_behind() == []
