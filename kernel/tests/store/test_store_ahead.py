"""While the index is asked, a version is made of what was answered before; what is answered now is what counts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernel.tests.store.conftest import sha256, wheel

from proxima.errors import StorageError
from proxima.store.errors import ProbeError
from proxima.store.job import Job
from proxima.store.preparing import Closure
from proxima.store.pylock import Pinned, pylock_text, read_pylock
from proxima.store.resolve.answers import Answers


@pytest.fixture
def known(shop: Any) -> Iterator[Any]:
    """A plugin that was installed and removed, of which the wheels are still in the cache."""
    shop.library("leaf", "1.0")
    shop.plugin("tea", "1.0", "leaf")
    with shop.kernel() as kernel:
        kernel.store.install("tea")
        kernel.store.uninstall("tea")
        yield kernel


class Told:
    """What a job says it tries; the index answers when something is tried, and not before."""

    def __init__(self, index: Any) -> None:
        self.tried: list[str] = []
        self.job = Job(progress=self.hear)
        self._index = index
        index.gate.clear()

    def hear(self, fraction: float | None, message: str) -> None:
        if message.startswith("trying "):
            self.tried.append(message.removeprefix("trying "))
            self._index.gate.set()


@pytest.mark.parametrize("resolver", ["uv", "pip", "pip-tools"])
def test_it_is_tried_before_the_index_answers(shop: Any, known: Any, resolver: str) -> None:
    shop.index.gate.clear()
    steps: list[str] = []

    def step(name: str) -> None:
        steps.append(name)
        if name == "probe":
            shop.index.gate.set()

    with shop.kernel(**{"store.resolver": resolver}) as kernel:
        assert kernel.store.install("tea", job=Job(step=step)).version == "1.0"
    assert shop.index.patient, "the index was let answer when the plugin was tried, not before"
    assert steps.index("probe") < steps.index("lock")
    assert steps.count("probe") == steps.count("link") == 1
    assert shop.said() == "1.0"
    assert shop.left_behind() == []


def test_another_answer_is_made_and_tried_instead(shop: Any, known: Any) -> None:
    shop.library("leaf", "2.0")
    shop.plugin("tea", "2.0", "leaf", body="import leaf\ndef act(): return VERSION + ' ' + leaf.V")
    told = Told(shop.index)
    assert known.store.install("tea", job=told.job).version == "2.0"
    assert told.tried == ["tea 1.0", "tea 2.0"]
    assert shop.said(kernel=known) == "2.0 2.0"
    assert shop.left_behind() == []
    assert [path.name for path in shop.store.glob("versions/tea/*")] == [shop.pointer().name]
    assert len(list(shop.store.glob("wheels/*"))) == 2


def test_what_fails_ahead_counts_only_if_it_is_the_answer(shop: Any, known: Any) -> None:
    bad = shop.plugin("tea", "2.0", body="raise RuntimeError('no tea')")
    for _ in range(2):
        with pytest.raises(ProbeError, match="no tea"):
            known.store.install("tea")
        assert shop.left_behind() == []
    (answer,) = (shop.home / "cache" / "answers").iterdir()
    assert [pin.version for pin in read_pylock(str(answer)) if pin.name == "tea"] == ["1.0"], "the last that was good"
    answer.write_text(pylock_text([Pinned.at(bad.as_uri(), sha256(bad))]))
    shop.plugin("tea", "3.0")
    told = Told(shop.index)
    assert known.store.install("tea", job=told.job).version == "3.0"
    assert told.tried == ["tea 2.0", "tea 3.0"]
    assert shop.left_behind() == []


def test_a_guess_that_cannot_be_made_does_not_outlive_the_cause(shop: Any) -> None:
    shop.library("leaf", "1.0")
    wheel(shop.index.directory, "twig", "1.0", {"leaf.py/inner.py": ""})
    shop.plugin("tea", "1.0", "leaf", "twig")
    with shop.kernel() as kernel:
        with pytest.raises(StorageError, match="File exists"):
            kernel.store.install("tea")
        wheel(shop.index.directory, "twig", "1.1", {"twig.py": ""})
        assert kernel.store.install("tea").version == "1.0"
    assert shop.left_behind() == []


def test_a_damaged_wheel_of_a_guess_is_fetched_again(shop: Any, known: Any) -> None:
    (leaf,) = (shop.home / "cache" / "wheels").glob("*/leaf-*.whl")
    leaf.write_bytes(b"damaged")
    assert known.store.install("tea").version == "1.0"


def test_nothing_is_tried_ahead_where_it_might_run_without_a_lock(shop: Any, known: Any) -> None:
    steps: list[str] = []
    with shop.kernel(**{"isolation.allow_tier_c": True}) as kernel:
        kernel.store.install("tea", job=Job(step=steps.append))
    assert steps.index("lock") < steps.index("fetch")


def test_nothing_is_fetched_ahead(shop: Any, known: Any) -> None:
    (shop.home / "cache" / "wheels").rename(shop.root / "old")
    steps: list[str] = []
    assert known.store.install("tea", job=Job(step=steps.append)).version == "1.0"
    assert steps.index("lock") < steps.index("fetch")
    assert steps.count("probe") == 1


@pytest.mark.parametrize("text", [b"\xff", b"[[packages]]", b"packages = 1", b""])
def test_a_damaged_answer_is_none(shop: Any, known: Any, text: bytes) -> None:
    (answer,) = (shop.home / "cache" / "answers").iterdir()
    answer.write_bytes(text)
    assert known.store.install("tea").version == "1.0"
    assert b"leaf" in answer.read_bytes()


def test_a_plugin_of_a_file_is_known_by_what_it_requires(shop: Any, known: Any) -> None:
    made = shop.plugin("coffee", "1.0", "leaf")
    for version, ahead in (("1.0", False), ("1.1", True)):
        steps: list[str] = []
        made = shop.plugin("coffee", version, "leaf")
        assert known.store.install(str(made), job=Job(step=steps.append)).version == version
        assert (steps.index("probe") < steps.index("lock")) is ahead


def test_answers_are_few_hold_no_secret_and_are_no_loss(tmp_path: Path) -> None:
    secret = Pinned("leaf", "1.0", "https://user:password@example.org/leaf-1.0-py3-none-any.whl", "0" * 64)
    plain = secret.at("https://example.org/leaf-1.0-py3-none-any.whl", "0" * 64)
    answers = Answers(str(tmp_path / "answers"))
    assert answers.last("question") is None
    for number in range(300):
        answers.keep(f"{number:03}", [secret])
        os.utime(tmp_path / "answers" / f"{number:03}", (number, number))
    assert sorted(path.name for path in (tmp_path / "answers").iterdir()) == [f"{n:03}" for n in range(44, 300)]
    assert "password" not in (tmp_path / "answers" / "299").read_text()
    assert answers.last("299") == [plain]
    assert Closure(secret, (secret,)).is_like(Closure(plain, (plain,)))
    other = secret.at("https://example.org/leaf-1.0-py3-none-any.whl", "1" * 64)
    assert not Closure(secret, (secret,)).is_like(Closure(other, (other,)))
    (tmp_path / "file").write_text("in its place")
    Answers(str(tmp_path / "file")).keep("question", [secret])
    assert Answers(str(tmp_path / "file")).last("question") is None
