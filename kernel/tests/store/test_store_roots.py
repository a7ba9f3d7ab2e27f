"""The import root of what a plugin depends on: one for all versions that depend on the same."""

from __future__ import annotations

import errno
import os
import shutil
from typing import Any

import pytest

from proxima.plugins.registry import State
from proxima.plugins.scan import FoundPlugin
from proxima.sandbox.imports import import_paths
from proxima.store.collect import unused_roots
from proxima.store.job import Job

USES_LEAF = "import leaf\ndef act(): return VERSION + ' ' + leaf.V"


def roots(shop: Any) -> list[str]:
    return sorted(path.name for path in shop.store.glob("roots/*"))


def test_versions_and_plugins_with_the_same_dependencies_share_it(shop: Any) -> None:
    shop.library("leaf", "1.0")
    for name, version in (("tea", "1.0"), ("coffee", "1.0"), ("tea", "2.0")):
        shop.plugin(name, version, "leaf", body=USES_LEAF)
    with shop.kernel() as kernel:
        for source in ("tea", "coffee"):
            kernel.store.install(source, version="1.0")
        (root,) = roots(shop)
        kernel.store.update("tea")
        assert (shop.said("tea"), shop.said("coffee")) == ("2.0 1.0", "1.0 1.0")
        assert roots(shop) == [root]
        shop.library("leaf", "1.1")
        kernel.store.install("tea", version="2.0")
        assert len(roots(shop)) == 2
        assert shop.said("tea") == "2.0 1.1"
        kernel.store.uninstall("tea")
        assert roots(shop) == [root], "coffee needs it"
        assert shop.said("coffee") == "1.0 1.0"
        kernel.store.uninstall("coffee")
        assert roots(shop) == []
    assert shop.left_behind() == []


@pytest.mark.parametrize(
    ("own", "library"),
    [({"tea/_fast.abi3.so": "machine code"}, {}), ({"shared/of_tea.py": "V = 'tea'"}, {"shared/of_leaf.py": "V = 1"})],
    ids=["machine code", "a package in parts"],
)
def test_what_has_to_lie_together_does(shop: Any, own: dict[str, str], library: dict[str, str]) -> None:
    from kernel.tests.store.conftest import wheel

    wheel(shop.index.directory, "leaf", "1.0", {"leaf.py": "V = '1.0'\n"} | library)
    shop.plugin("tea", "1.0", "leaf", body=USES_LEAF, files=own)
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    assert shop.said() == "1.0 1.0"
    assert not shop.dependencies().exists()
    assert {path.name for path in shop.site().iterdir()} >= {"leaf.py", "tea", *(path.split("/")[0] for path in own)}
    assert roots(shop) == []


def test_bytecode_keeps_no_wheel_from_lying_apart(shop: Any) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf", body=USES_LEAF, files={"tea_module.py": "V = 1"})
    with shop.kernel() as kernel:
        for trust in (False, True):  # by the second time both wheels are compiled
            kernel.store.install("tea", trust=trust)
            assert (shop.dependencies() / "leaf.py").exists()
            assert len(roots(shop)) == 1


def test_it_stays_while_another_version_that_needs_it_is_asked_about(shop: Any) -> None:
    shop.library("leaf", "1.0")
    for name in ("tea", "coffee"):
        shop.plugin(name, "1.0", "leaf", body=USES_LEAF)

    def consent(proposal: Any) -> Any:
        with shop.kernel() as other:
            other.store.uninstall("tea")
        return proposal.asked

    with shop.kernel() as kernel:
        kernel.store.install("tea")
        kernel.store.install("coffee", consent=consent)
    assert shop.said("coffee") == "1.0 1.0"
    assert shop.left_behind() == []


def test_two_that_are_made_at_once_become_one(shop: Any) -> None:
    shop.library("leaf", "1.0")
    for name in ("tea", "coffee"):
        shop.plugin(name, "1.0", "leaf", body=USES_LEAF)

    made: list[int] = []

    def consent(proposal: Any) -> Any:
        with shop.kernel() as other:
            other.store.install("tea")
        made.append(os.stat(shop.dependencies("tea")).st_ino)
        return proposal.asked

    with shop.kernel() as kernel:
        kernel.store.install("coffee", consent=consent)
    assert [os.stat(shop.dependencies("coffee")).st_ino] == made, "what others may use by now is left alone"
    assert (shop.said("tea"), shop.said("coffee")) == ("1.0 1.0", "1.0 1.0")
    assert os.path.samefile(shop.dependencies("tea"), shop.dependencies("coffee"))
    assert shop.left_behind() == []


def test_a_declined_installation_leaves_none(shop: Any) -> None:
    from proxima.errors import PermissionDeniedError

    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf")
    with shop.kernel() as kernel, pytest.raises(PermissionDeniedError):
        kernel.store.install("tea", consent=lambda proposal: None)
    assert roots(shop) == []
    assert shop.left_behind() == []


def test_a_version_without_it_is_damaged_and_made_anew(shop: Any) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf", body=USES_LEAF)
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        shutil.rmtree(shop.store / "roots")
        assert kernel.store.installed() == []
        with shop.kernel() as other:
            record = other.registry.get("tea")
            assert record.state is State.BROKEN
            assert "install it again" in record.reason
        steps: list[str] = []
        assert kernel.store.install("tea", job=Job(step=steps.append)).changed
        assert "link" in steps
    assert shop.said() == "1.0 1.0"
    assert shop.left_behind() == []


def test_one_that_lacks_something_is_made_anew_for_all(shop: Any) -> None:
    shop.library("leaf", "1.0")
    for name in ("tea", "coffee"):
        shop.plugin(name, "1.0", "leaf", body=USES_LEAF)
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        (shop.dependencies("tea") / "leaf.py").unlink()
        kernel.store.install("coffee")
    assert (shop.said("tea"), shop.said("coffee")) == ("1.0 1.0", "1.0 1.0")
    assert len(roots(shop)) == 1
    assert shop.left_behind() == []


def test_without_symbolic_links_all_lies_in_one_directory(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf", body=USES_LEAF)
    monkeypatch.setattr(os, "symlink", refused)  # as vfat does
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    assert shop.said() == "1.0 1.0"
    assert (shop.site() / "leaf.py").exists()


def test_a_plugin_of_the_environment_gets_nothing_by_such_a_link(tmp_path: Any) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "dependencies").symlink_to("/usr")
    found = FoundPlugin("tea", "tea:plugin", "tea", "1.0", str(tmp_path / "vendor"))
    assert os.path.realpath("/usr") not in import_paths(found)


def test_a_file_in_the_wrong_place_keeps_nothing_from_being_collected(shop: Any) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf")
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        layout = kernel.store.layout
        (shop.store / "versions" / ".DS_Store").write_text("")
        assert unused_roots(layout) == []
        (shop.dependencies()).unlink()
        assert [os.path.basename(path) for path in unused_roots(layout)] == roots(shop)


def test_a_home_that_was_moved_is_whole(shop: Any) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf", body=USES_LEAF)
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    shop.home = shop.home.rename(shop.root / "elsewhere")
    shop.store = shop.home / "data" / "store"
    assert shop.said() == "1.0 1.0"
