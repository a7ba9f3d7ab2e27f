"""The import root of what a plugin depends on: one for all versions that depend on the same."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

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

    def consent(proposal: Any) -> Any:
        with shop.kernel() as other:
            other.store.install("tea")
        return proposal.asked

    with shop.kernel() as kernel:
        kernel.store.install("coffee", consent=consent)
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
        steps: list[str] = []
        assert kernel.store.install("tea", job=Job(step=steps.append)).changed
        assert "link" in steps
    assert shop.said() == "1.0 1.0"
    assert shop.left_behind() == []


def test_a_home_that_was_moved_is_whole(shop: Any) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf", body=USES_LEAF)
    with shop.kernel() as kernel:
        kernel.store.install("tea")
    shop.home = shop.home.rename(shop.root / "elsewhere")
    shop.store = shop.home / "data" / "store"
    assert shop.said() == "1.0 1.0"
