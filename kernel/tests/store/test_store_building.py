"""A project's directory is built: from the store's own index, while there is time, and by nothing that lies around."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from proxima.contracts.backend import CancelToken
from proxima.errors import CancelledError, DeadlineExceededError, ProximaError
from proxima.store import building
from proxima.store.errors import StoreError
from proxima.store.job import Job
from proxima.store.resolve import DRIVERS

BUILD = "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"


def project(shop: Any, code: str, *requires: str) -> Path:
    """A project of the plugin tea with a build backend of its own, whose `build_wheel` has some code."""
    directory: Path = shop.root / "project"
    directory.mkdir()
    wanted = ", ".join(f'"{each}"' for each in requires)
    (directory / "pyproject.toml").write_text(
        f'[build-system]\nrequires = [{wanted}]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "tea"\nversion = "1.0"\n'
    )
    (directory / "backend.py").write_text(BUILD + "".join(f"    {line}\n" for line in code.splitlines()))
    return directory


def runs(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture(params=["uv", "pip"])
def tool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pip":
        monkeypatch.setattr(building, "beside_python", lambda tool: "")
    return str(request.param)


def test_what_a_build_needs_is_looked_for_on_the_store_s_index(shop: Any, tool: str) -> None:
    shop.library("brick-of-this-shop-alone", "1.0")
    built = Path(shutil.move(shop.plugin("tea", "1.0"), shop.root))
    code = f"import brick_of_this_shop_alone, shutil\nshutil.copy({str(built)!r}, directory)\nreturn {built.name!r}"
    with shop.kernel() as kernel:
        assert kernel.store.install(str(project(shop, code, "brick-of-this-shop-alone"))).plugin == "tea"
    assert shop.left_behind() == []


def test_what_lies_in_the_current_directory_does_not_run(
    shop: Any, tool: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark, around = tmp_path / "mark", tmp_path / "around"
    around.mkdir()
    for name in ("pip", "subprocess", "uv"):
        (around / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\n")
    monkeypatch.chdir(around)
    with shop.kernel() as kernel, pytest.raises(StoreError, match=r"(?s)could not be built: .*no bricks"):
        kernel.store.install(str(project(shop, "raise RuntimeError('no bricks')")))
    assert not mark.exists()


@pytest.mark.parametrize("how", ["cancelled", "late"])
def test_a_build_is_stopped_with_all_of_its_processes(shop: Any, tool: str, how: str) -> None:
    mark = shop.root / "process"
    code = f"import os, time\nopen({str(mark)!r} + '.new', 'w').write(str(os.getpid()))\n"
    code += f"os.rename({str(mark)!r} + '.new', {str(mark)!r})\ntime.sleep(50)"

    class Token(CancelToken):
        @property
        def cancelled(self) -> bool:
            return mark.exists()

    started = time.monotonic()
    late = Job(deadline=started + 5)
    job, error = (Job(cancel=Token()), CancelledError) if how == "cancelled" else (late, DeadlineExceededError)
    with shop.kernel() as kernel, pytest.raises(error, match="was built"):
        kernel.store.install(str(project(shop, code)), job=job)
    assert time.monotonic() - started < 40
    assert how == "late" or mark.exists()
    while mark.exists() and runs(mark.read_text()):
        assert time.monotonic() - started < 45, "the build goes on"
        time.sleep(0.05)


@pytest.mark.parametrize("driver", [driver.name for driver in DRIVERS])
def test_a_directory_of_wheels_may_be_relative(shop: Any, driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.plugin("tea", "1.0", "leaf")
    shutil.move(shop.library("leaf", "1.0"), shop.root / "leaf-1.0-py3-none-any.whl")
    monkeypatch.chdir(shop.root)
    with shop.kernel(**{"store.resolver": driver}) as kernel, pytest.raises(ProximaError, match="leaf"):
        kernel.store.install("tea")
    with shop.kernel(**{"store.resolver": driver, "store.find_links": [os.curdir]}) as kernel:
        assert kernel.store.install("tea").changed
