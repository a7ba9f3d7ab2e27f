"""The whole set in a file, and another home made like it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxima.errors import UsageError
from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima.plugins.state import PluginState
from proxima.store.errors import FetchError, StoreError
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


def a_lock(directory: Path, **fields: object) -> Path:
    """A lock of one plugin, some of whose fields are others."""
    pin = {"name": "tea", "version": "1.0", "url": "https://x.example/tea-1.0-py3-none-any.whl", "sha256": "ab" * 32}
    plugin = {"plugin": "tea", "distribution": "tea", "version": "1.0", "trusted": False, "disabled": False}
    plugin |= {"source": {"kind": "index", "text": "tea"}, "packages": [pin], "granted": [], "settings": {}}
    path = directory / "plugins.lock"
    path.write_text(json.dumps({"format": 1, "plugins": [plugin | fields]}))
    assert fields or len(read_lock(str(path))) == 1
    return path


def changed(shop: Any, change: Callable[[Any], object]) -> Path:
    """A lock of which the plugin tea was changed."""
    path: Path = shop.root / "plugins.lock"
    make(shop, path)
    data = json.loads(path.read_text())
    change(next(each for each in data["plugins"] if each["plugin"] == "tea"))
    path.write_text(json.dumps(data))
    return path


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


def test_a_password_in_an_address_stays_out(shop: Any) -> None:
    shop.plugin()
    path = shop.root / "plugins.lock"
    files = shop.index.url.replace("http://", "http://anna:secret@").replace("simple", "files")
    with shop.kernel() as kernel:
        kernel.store.install(f"{files}tea-1.0-py3-none-any.whl")
        write_lock(kernel.store, str(path))
    assert "secret" not in path.read_text()
    assert read_lock(str(path))[0].source["text"] == f"{files.replace('anna:secret@', '')}tea-1.0-py3-none-any.whl"


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
    ("field", "value", "words"),
    [
        ("sha256", "../../../../etc", "is not a sha256"),
        ("sha256", "", "has no sha256"),
        ("url", "file:///x/..%2f..%2fy.whl", "is not the name of a wheel"),
        ("url", "https://x.example/", "is not the name of a wheel"),
        ("url", "ftp://x.example/tea-1.0-py3-none-any.whl", "is fetched by neither https, http nor file"),
        ("url", "https://[x/tea-1.0-py3-none-any.whl", "Invalid IPv6 URL"),
        ("version", "1.0\n-e /evil", "Invalid version"),
        ("version", "1.0\n", "not a version in its normal form"),
        ("version", "../1.0", "Invalid version"),
        ("version", 1, ""),
        ("name", "Leaf_Let", "is not the normalised name of a distribution"),
        ("name", "leaf\n-e /evil", "is not the normalised name of a distribution"),
    ],
)
def test_a_wheel_that_is_none_is_refused(tmp_path: Path, field: str, value: object, words: str) -> None:
    packages = json.loads(a_lock(tmp_path).read_text())["plugins"][0]["packages"]
    packages[0][field] = value
    with pytest.raises(UsageError, match=f"is not a lock of plugins: .*{words}"):
        read_lock(str(a_lock(tmp_path, packages=packages)))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"kind": "index", "text": "tea\n-e /evil"}, "is not a distribution's name"),
        ({"kind": "index", "text": "tea @ file:///evil"}, "is not a distribution's name"),
        ({"kind": "index", "text": "tea", "specifier": ">=1\n-e /evil"}, "is not a distribution's name"),
        ({"kind": "index", "text": "tea", "specifier": ">=1 -e /evil"}, "Invalid specifier"),
        ({"kind": "url", "text": "http://x.example/tea-1.0-py3-none-any.whl"}, "fetched by https only"),
        ({"kind": "url", "text": "file:///evil/tea-1.0-py3-none-any.whl"}, "no address"),
        ({"kind": "url", "text": 5}, "expected text only"),
        ({"kind": "wheel", "text": "tea-1.0-py3-none-any.whl"}, "is not an absolute path"),
        ({"kind": "other", "text": "/evil"}, "is no kind of source"),
    ],
)
def test_a_source_that_is_none_is_refused(tmp_path: Path, source: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=f"is not a lock of plugins: .*{words}"):
        read_lock(str(a_lock(tmp_path, source=source)))


def test_what_a_lock_names_is_not_built(tmp_path: Path) -> None:
    (tea,) = read_lock(str(a_lock(tmp_path, source={"kind": "project", "text": str(tmp_path)})))
    assert tea.source == {"kind": "url", "text": tea.packages[0].url, "specifier": ""}


@pytest.mark.parametrize("disabled", [False, True])
def test_no_file_is_removed_or_emptied_by_the_name_of_a_plugin(shop: Any, disabled: bool) -> None:
    file = shop.root / "precious"
    file.write_text("precious")
    path = changed(shop, lambda plugin: plugin.update(plugin=str(file), disabled=disabled))
    with other(shop) as kernel:
        with pytest.raises(UsageError, match="is not a plugin's id"):
            sync(kernel.store, str(path))
        state = PluginState(kernel.paths)
        state.enable(str(file))
        for write in (lambda: state.disable(str(file)), lambda: state.quarantine(str(file), "", "")):
            with pytest.raises(UsageError, match="is not a plugin's id"):
                write()
        assert state.quarantine_of(str(file)) is None
    assert file.read_text() == "precious"


def test_the_wheel_has_to_hold_the_plugin_that_the_lock_says(shop: Any) -> None:
    path = changed(shop, lambda plugin: plugin.update(plugin="cocoa"))
    with other(shop) as kernel:
        with pytest.raises(StoreError, match="is the plugin tea, not cocoa"):
            sync(kernel.store, str(path))
        assert [each.plugin for each in kernel.store.installed()] == ["coffee"]
    with shop.kernel() as kernel, pytest.raises(UsageError, match="the wheels of cocoa are those of the plugin tea"):
        sync(kernel.store, str(path))


def test_a_set_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'beans' is to be there once"):
        read_lock(str(a_lock(tmp_path, distribution="beans")))
    path = a_lock(tmp_path)
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"plugins": data["plugins"] * 2}))
    with pytest.raises(UsageError, match="a plugin is in it twice"):
        read_lock(str(path))
