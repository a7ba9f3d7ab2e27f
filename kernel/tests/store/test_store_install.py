"""A plugin's life in the store: installed, used, removed."""

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
from proxima.errors import NotFoundError, PluginIncompatibleError, UsageError
from proxima.events import PluginStateChanged
from proxima.permissions import Source
from proxima.store.errors import ConflictError, ProbeError, StoreError
from proxima.store.journal import history
from proxima.store.proposal import accept
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
