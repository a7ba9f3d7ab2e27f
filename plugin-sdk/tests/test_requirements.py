"""What this environment lacks of a plugin's requirements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from proxima_sdk.requirements import unmet

Check = Callable[..., list[str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """With a tea on the path that has extras: for milk, which is not here, and for both that and another tea."""
    info = tmp_path / "tea-1.5.dist-info"
    info.mkdir()
    lines = [
        "Metadata-Version: 2.1",
        "Name: tea",
        "Version: 1.5",
        "Requires-Dist: sugar",
        'Requires-Dist: milk>=9; extra == "with-milk"',
        'Requires-Dist: tea[all,with_milk]; extra == "all"',
        'Requires-Dist: numpy; extra == "plain"',
        'Requires-Dist: lemon; extra == "plain" and python_version < "3"',
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda *texts: list(unmet(map(Requirement, texts)))


def test_what_is_here_is_met(check: Check) -> None:
    assert check("tea", "Tea>=1,<2", "tea[plain]==1.5", 'lemon; python_version < "3"', 'lemon; extra == "sour"') == []


def test_what_is_not_here_or_in_another_version_is_told(check: Check) -> None:
    assert check("lemon>=1", "tea>=2") == ["lemon>=1 (not installed)", "tea>=2 (1.5 is installed)"]


@pytest.mark.parametrize("extra", ["with-milk", "With_Milk", "all"])
def test_an_extra_has_requirements_of_its_own(check: Check, extra: str) -> None:
    assert check(f"tea[{extra}]") == ['milk>=9; extra == "with-milk" (not installed)']
