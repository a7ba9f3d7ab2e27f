"""A plugin's life in the store: installed, used, updated, taken back, removed."""

from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxima.cli import main
from proxima.cli.proposing import lines_of
from proxima.errors import NotFoundError, PermissionDeniedError, PluginIncompatibleError, UsageError
from proxima.events import PluginStateChanged
from proxima.permissions import Permission, Source
from proxima.store.collect import keep_last
from proxima.store.errors import ConflictError, ProbeError, StoreError
from proxima.store.journal import history
from proxima.store.proposal import Proposal, accept
from proxima.store.wheel import WheelError


def test_a_plugin_of_an_index_is_installed_with_its_dependencies_and_used(shop: Any) -> None:
    shop.library("leaf", "2.1")
    shop.library("leaf", "3.0")
    shop.plugin("tea", "1.0", "proxima-kernel", "leaf<3", body="import leaf\ndef act(): return VERSION + ' ' + leaf.V")
    with shop.kernel() as kernel:
        outcome = kernel.store.install("tea")
        assert (outcome.plugin, outcome.version, outcome.version_before, outcome.changed) == ("tea", "1.0", "", True)
        assert shop.said(kernel=kernel) == "1.0 2.1", "this session sees it"
    assert shop.said() == "1.0 2.1"
    version = shop.pointer()
    assert sorted(path.name for path in version.iterdir()) == ["dependencies", "install.json", "pylock.toml", "site"]
    lock = tomllib.loads((version / "pylock.toml").read_text())
    assert [(each["name"], each["version"]) for each in lock["packages"]] == [("leaf", "2.1"), ("tea", "1.0")]
    assert all(len(each["wheels"][0]["hashes"]["sha256"]) == 64 for each in lock["packages"])
    assert shop.left_behind() == []


def test_what_is_installed_cannot_be_written_and_is_shared_by_links(shop: Any) -> None:
    shop.library("leaf", "1.0")
    for name in ("tea", "coffee"):
        shop.plugin(name, "1.0", "leaf")
    with shop.kernel() as kernel:
        for name in ("tea", "coffee"):
            kernel.store.install(name)
    files = [
        path for root in (shop.site("tea"), shop.dependencies("tea")) for path in root.rglob("*") if path.is_file()
    ]
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o222 == 0 for path in files if path.suffix != ".pyc")
    (leaf,) = shop.store.glob("wheels/*/leaf.py")
    assert os.path.samefile(shop.dependencies("tea") / "leaf.py", leaf)
    assert list(shop.dependencies("tea").glob("__pycache__/leaf.*.pyc")), "a worker may not write bytecode"
    with shop.kernel() as kernel:
        kernel.store.uninstall("tea")
        assert shop.said("coffee", kernel) == "1.0"
        assert len(list(shop.store.glob("wheels/*"))) == 2
        kernel.store.uninstall("coffee")
    assert shop.left_behind() == []
    assert list(shop.store.glob("wheels/*")) == []


def test_two_plugins_have_versions_of_a_library_that_do_not_go_together(shop: Any) -> None:
    for version in ("1.0", "2.0"):
        shop.library("leaf", version)
    body = "import leaf\ndef act(): return leaf.V"
    shop.plugin("tea", "1.0", "leaf<2", body=body)
    shop.plugin("coffee", "1.0", "leaf>=2", body=body)
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        kernel.store.install("coffee")
        assert (shop.said("tea", kernel), shop.said("coffee", kernel)) == ("1.0", "2.0")


def test_a_plugin_sees_its_own_closure_and_the_host_packages_alone(shop: Any) -> None:
    body = "import importlib.util as u\ndef act(): return [n for n in NAMES if u.find_spec(n)]\n"
    names = ["msgpack", "pluggy", "numpy", "proxima", "pytest", "jsonschema", "hypothesis"]
    shop.plugin(body=f"NAMES = {names}\n{body}")
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        assert shop.said(kernel=kernel) == str(names[:4])


def test_a_wheel_a_project_and_an_address_are_installed(shop: Any) -> None:
    path = shop.plugin("tea", "1.0")
    project = shop.root / "project"
    (project / "dist").mkdir(parents=True)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "coffee"\nversion = "1.0"\n'
    )
    built = shop.plugin("coffee", "1.0")
    (project / "backend.py").write_text(
        f"import shutil\ndef build_wheel(directory, config_settings=None, metadata_directory=None):\n"
        f"    shutil.copy({str(built)!r}, directory)\n    return {built.name!r}\n"
    )
    shop.plugin("cocoa", "1.0")
    with shop.kernel() as kernel:
        assert kernel.store.install(str(path)).plugin == "tea"
        assert kernel.store.install(str(project)).plugin == "coffee"
        url = shop.index.url.replace("/simple/", "/files/cocoa-1.0-py3-none-any.whl")
        assert kernel.store.install(url).plugin == "cocoa"
        assert [each.plugin for each in kernel.store.installed()] == ["cocoa", "coffee", "tea"]
    assert [shop.said(name) for name in ("cocoa", "coffee", "tea")] == ["1.0"] * 3


def test_installing_what_runs_already_changes_nothing(shop: Any) -> None:
    path = shop.plugin()
    with shop.kernel() as kernel:
        assert kernel.store.install("tea").changed
        before = shop.pointer()
        assert not kernel.store.install("tea").changed
        assert not kernel.store.install(str(path)).changed
        assert shop.pointer() == before
        assert len(kernel.store.history()) == 1


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


def test_an_update_asks_for_what_is_new_alone(shop: Any) -> None:
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


def test_removal_takes_back_what_was_granted_and_imports_nothing(shop: Any) -> None:
    mark = shop.root / "imported"
    shop.plugin(permissions=["database"])
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    (init,) = shop.site().glob("tea/__init__.py")
    init.unlink()
    init.write_text(f"open({str(mark)!r}, 'w')\n")
    with shop.kernel() as kernel:
        kernel.registry.set_enabled("tea", False)
        kernel.store.uninstall("tea")
        assert "tea" not in kernel.registry.records, "that it was turned off is forgotten"
        kernel.permissions.declare("tea", "1.0", ["database"], source=Source("tea", "store"))
        assert not any(each.granted for each in kernel.permissions.grants.decisions("tea"))
        rows = kernel.permissions.audit.search(plugin="tea")
        assert {"store.install", "store.uninstall", "database"} <= {row.permission for row in rows}
        with pytest.raises(NotFoundError, match="the store has no plugin called 'tea'"):
            kernel.store.uninstall("tea")
    assert not mark.exists()
    assert shop.left_behind() == []


def test_changes_are_published(shop: Any) -> None:
    shop.plugin()
    heard: list[tuple[str, str]] = []

    def listen(event: PluginStateChanged) -> None:
        heard.append((event.plugin, event.state))

    with shop.kernel() as kernel:
        kept = kernel.events.subscribe(listen, PluginStateChanged)
        kernel.store.install("tea")
        kernel.store.uninstall("tea")
        assert kept is not None
    assert [each for each in heard if each[1] != "running"] == [("tea", "installed"), ("tea", "uninstalled")]


def test_a_name_that_the_environment_or_another_distribution_has_is_refused(shop: Any) -> None:
    site = shop.root / "site"
    (site / "tea-9.dist-info").mkdir(parents=True)
    (site / "tea-9.dist-info" / "entry_points.txt").write_text("[proxima.plugins]\ntea = tea:plugin\n")
    shop.plugin()
    shop.plugin("coffee", "1.0", distribution="good-coffee")
    shop.plugin("coffee", "1.0", distribution="bad-coffee")
    with shop.kernel() as kernel:
        kernel.registry.path = [str(site)]
        with pytest.raises(StoreError, match="the environment has a plugin tea already, from tea 9"):
            kernel.store.install("tea")
        kernel.store.install("good-coffee")
        with pytest.raises(StoreError, match="coffee is installed from good-coffee; bad-coffee claims the same name"):
            kernel.store.install("bad-coffee")
        assert [each.distribution for each in kernel.store.installed()] == ["good-coffee"]
    assert shop.left_behind() == []


def test_a_first_party_name_from_the_store_is_no_first_party(shop: Any) -> None:
    shop.plugin("results", "1.0", distribution="proxima-results", permissions=["database"])
    with shop.kernel() as kernel:
        kernel.store.install("proxima-results", consent=lambda proposal: ())
        record = kernel.registry.get("results")
        assert not record.first_party
        assert kernel.isolation.place(record).startswith("worker")


def test_a_trusted_plugin_runs_here_over_the_distributions_of_the_environment(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    shop.library("leaf", "1.0")
    shop.library("numpy", "99.0")
    body = "import leaf, numpy, os\ndef act(): return f'{leaf.V} {numpy.__version__} {os.getpid()}'"
    shop.plugin("tea", "1.0", "leaf", "numpy", body=body)
    import numpy

    with shop.kernel() as kernel:
        kernel.store.install("tea", trust=True)
        record = kernel.registry.get("tea")
        assert kernel.isolation.place(record) == "in-process"
        assert shop.said(kernel=kernel) == f"1.0 {numpy.__version__} {os.getpid()}"
        assert sys.path[-2:] == [str(shop.site()), str(shop.dependencies())]
        shop.plugin("tea", "2.0", "leaf", "numpy", body=body)
        kernel.store.update("tea")
        assert shop.said(kernel=kernel).startswith("1.0 "), "what runs goes on as it is"
    for name in ("tea", "leaf"):
        del sys.modules[name]
    assert not (shop.site() / "numpy.py").exists()


def test_what_is_no_plugin_or_lies_is_refused_and_leaves_nothing(shop: Any) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("future", "1.0", "proxima-kernel>=99")
    shop.plugin("lying", "1.0", body="Act.name = 'another'")
    shop.plugin("needy", "1.0", python_version=">=99")
    cases: dict[str, tuple[type[Exception], str]] = {
        "leaf": (StoreError, "leaf 1.0 holds no plugin"),
        "future": (ConflictError, "proxima-kernel>=99"),
        "lying": (ProbeError, "another"),
        "needy": (UsageError, "needs Python"),
        "nothing-of-that-name": (NotFoundError, "nothing-of-that-name"),
        "./nothing.whl": (UsageError, "there is no such wheel"),
        "http://example.com/x-1.0-py3-none-any.whl": (UsageError, "by https only"),
    }
    with shop.kernel() as kernel:
        for source, (kind, words) in cases.items():
            with pytest.raises(kind, match=words):
                kernel.store.install(source)
        assert kernel.store.installed() == []
    assert shop.left_behind() == []


def test_a_version_for_another_python_is_not_run(shop: Any) -> None:
    for version in ("1.0", "2.0"):
        shop.plugin("tea", version)
    with shop.kernel() as kernel:
        kernel.store.install("tea", version="1.0")
        kernel.store.update("tea")
    for path in shop.store.glob("versions/tea/1.0-*/install.json"):
        facts = json.loads(path.read_text())
        path.write_text(json.dumps(facts | {"fits": facts["fits"] + " python==2.7.*"}))
    pointer = shop.store / "current" / "tea"
    pointer.write_text(pointer.read_text().replace("\nkinds", " python==2.7.*\nkinds"))
    with shop.kernel() as kernel:
        assert kernel.registry.get("tea").state == "incompatible"
        with pytest.raises(PluginIncompatibleError, match=r"needs Python ==2\.7\.\*"):
            kernel.store.rollback("tea")


def test_plugin_list_shows_the_store_also_where_a_pointer_is_damaged(
    shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROXIMA_HOME", str(shop.home))
    shop.plugin()
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    (shop.store / "current" / "coffee").write_bytes(b"\xff not a pointer")
    assert main(["plugin", "list"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["tea"] == ["1.0", "enabled", "tools"]
    assert rows["coffee"][-1:] == ["broken"]
    with shop.kernel() as kernel:
        assert [each.plugin for each in kernel.store.installed()] == ["tea"]
        kernel.store.uninstall("coffee")
        assert sorted(path.name for path in (shop.store / "current").iterdir()) == ["tea"]


def test_plugin_list_reads_the_history_once(
    shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROXIMA_HOME", str(shop.home))
    for name in ("tea", "coffee"):
        shop.plugin(name)
        with shop.kernel() as kernel:
            kernel.store.install(name)
    read: list[Any] = []
    monkeypatch.setattr("proxima.store.install.history", lambda *args: read.append(args) or history(*args))
    assert main(["plugin", "list", "--json"]) == 0
    rows = {row["name"]: row["history"] for row in json.loads(capsys.readouterr().out)}
    assert [[each["action"] for each in rows[name]] for name in ("tea", "coffee")] == [["install"], ["install"]]
    assert len(read) == 1


def test_a_wheel_that_says_the_wrong_thing_of_itself_is_refused(shop: Any) -> None:
    path = shop.plugin()
    renamed = path.with_name("tea-2.0-py3-none-any.whl")
    path.rename(renamed)
    with shop.kernel() as kernel:
        with pytest.raises(WheelError):
            kernel.store.install(str(renamed))
        with pytest.raises(UsageError, match=r"is version 1\.0, not 3"):
            kernel.store.install(str(shop.plugin()), version="3")


@pytest.fixture
def numpy_old(shop: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets the resolver use what this machine is set to use; only it may have the large real numpy."""
    return monkeypatch.undo


def test_two_real_versions_of_numpy_at_once(shop: Any, numpy_old: Callable[[], None]) -> None:
    numpy_old()
    shop.flags = {"store.find_links": [str(shop.index.directory)], "store.seconds": 120.0}
    body = "import numpy\ndef act(): return numpy.__version__ + ' ' + str(numpy.arange(3).sum())"
    shop.plugin("old", "1.0", "numpy==1.26.*", body=body)
    shop.plugin("new", "1.0", "numpy>=2", body=body)
    with shop.kernel() as kernel:
        try:
            kernel.store.install("old")
        except (NotFoundError, StoreError) as error:
            pytest.skip(f"numpy 1.26 cannot be had here: {error}")
        kernel.store.install("new")
        assert shop.said("old", kernel).startswith("1.26.")
        assert shop.said("old", kernel).endswith(" 3")
        assert shop.said("new", kernel).startswith("2.")


def test_accept_grants_what_is_asked(shop: Any) -> None:
    shop.plugin(permissions=["database"])
    with shop.kernel() as kernel:
        outcome = kernel.store.install("tea", consent=accept)
        assert outcome.proposal is not None
        assert [str(each) for each in outcome.proposal.asked] == ["database"]


def test_missing_parts_of_the_system_are_told(shop: Any) -> None:
    parts = {"python": [], "system": ["sh", "libc", "no-such-program-anywhere"]}
    path: Path = shop.plugin(dependencies=parts)
    with shop.kernel() as kernel:
        outcome = kernel.store.install(str(path))
        assert outcome.proposal is not None
        assert outcome.proposal.missing == ("no-such-program-anywhere",)


def test_what_makes_no_sense_in_the_journal_is_removed(shop: Any) -> None:
    shop.plugin()
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        for name, text in {"1-1": "no json", "1-2": "[]", "1-3": '{"action": "install"}', ".half": "{"}.items():
            (shop.store / "journal" / name).write_text(text)
        assert kernel.store.heal() == []
        assert shop.said(kernel=kernel) == "1.0"
    assert shop.left_behind() == []
