"""The whole set in a file, and another home made like it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxima.errors import UsageError
from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima.store.errors import FetchError
from proxima.store.portable import read_lock, sync, write_lock


def other(shop: Any, **flags: object) -> Kernel:
    """A second home; nothing of the first one's cache is in it."""
    kernel = Kernel(paths=Paths.under(str(shop.root / "other")), flags=shop.flags | flags)
    kernel.registry.path = []
    return kernel


def make(shop: Any, path: Path) -> None:
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf", permissions=["database", "network:tea.example"])
    coffee = shop.plugin("coffee", "1.0")
    config = shop.home / "config"
    config.mkdir(parents=True)
    (config / "settings.toml").write_text('[plugins.tea]\nstrength = 3\n[plugins.coffee]\nmilk = "oat"\n')
    with shop.kernel() as kernel:
        kernel.store.install("tea", consent=lambda proposal: proposal.asked[:1])
        kernel.store.install(str(coffee))
        kernel.registry.set_enabled("coffee", False)
        write_lock(kernel.store, str(path))


def test_another_home_is_made_the_same(shop: Any) -> None:
    path = shop.root / "plugins.lock"
    make(shop, path)
    shop.library("leaf", "1.1")  # newer, but not what was locked
    shop.plugin("tea", "1.1", "leaf")
    shop.plugin("cocoa", "1.0")
    settings: dict[str, Any] = {}
    with other(shop) as kernel:
        kernel.store.install("cocoa")
        done = sync(kernel.store, str(path), configure=settings.__setitem__)
        assert sorted(each.plugin for each in done) == ["coffee", "tea"]
        assert [(each.plugin, each.version) for each in kernel.store.installed()] == [("coffee", "1.0"), ("tea", "1.0")]
        assert settings == {"tea": {"strength": 3}, "coffee": {"milk": "oat"}}
        grants = kernel.permissions.grants.decisions("tea")
        assert [str(each.permission) for each in grants if each.granted] == ["database"]
        assert sync(kernel.store, str(path)) == [], "the second time there is nothing to do"
    again = shop.root / "again.lock"
    with other(shop) as kernel:
        assert str(kernel.registry.get("coffee").state) == "disabled"
        assert shop.said(kernel=kernel) == "1.0"
        write_lock(kernel.store, str(again))
    versions = [[(each.plugin, each.packages, each.disabled) for each in read_lock(str(p))] for p in (path, again)]
    assert versions[0] == versions[1]


def test_a_local_wheel_that_is_not_here_is_found_on_the_index_by_its_hash(shop: Any) -> None:
    path = shop.root / "plugins.lock"
    make(shop, path)
    data = json.loads(path.read_text())
    for plugin in data["plugins"]:
        for package in plugin["packages"]:
            package["url"] = "file:///nowhere/" + package["url"].rpartition("/")[2]
    path.write_text(json.dumps(data))
    with other(shop) as kernel:
        assert len(sync(kernel.store, str(path))) == 2
    shop.plugin("tea", "1.0", "leaf", body="# published again under the same version")
    with other(shop) as kernel:
        kernel.store.uninstall("tea")
        for cached in Path(kernel.paths.cache).glob("wheels/*/tea-*"):
            cached.unlink()
        with pytest.raises(FetchError, match="is not the file that was asked for"):
            sync(kernel.store, str(path))
        assert [each.plugin for each in kernel.store.installed()] == ["coffee"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "is not a lock of plugins"),
        ('{"format": 99, "plugins": []}', "format 99 is not known here"),
        ('{"format": 1, "plugins": [{"plugin": 5}]}', "is not a lock of plugins"),
    ],
)
def test_what_is_no_lock_is_refused_and_nothing_is_removed(shop: Any, text: str, words: str) -> None:
    shop.plugin()
    path = shop.root / "plugins.lock"
    path.write_text(text)
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        with pytest.raises(UsageError, match=words):
            sync(kernel.store, str(path))
        assert [each.plugin for each in kernel.store.installed()] == ["tea"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "../../../../etc"),
        ("sha256", ""),
        ("url", "file:///x/..%2f..%2fy.whl"),
        ("url", "https://x.example/"),
    ],
)
def test_what_would_lead_out_of_the_cache_is_refused(shop: Any, field: str, value: str) -> None:
    path = shop.root / "plugins.lock"
    make(shop, path)
    data = json.loads(path.read_text())
    data["plugins"][0]["packages"][0][field] = value
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="is not a lock of plugins"):
        read_lock(str(path))
