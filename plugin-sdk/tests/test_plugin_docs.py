"""`proxima plugin docs`: what its pages say, that mkdocs builds them, and that nothing in them is HTML or was run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from proxima.errors import UsageError
from proxima_sdk.docs.docstring import docstring_as_markdown
from proxima_sdk.docs.pages import pages_of, write_pages
from proxima_sdk.new import Project, create_project

PAGES = ["api.md", "examples.md", "index.md", "manifest.md"]

SOURCE = '''\
"""A <b>module</b> that ends whoever imports it, & more."""

raise SystemExit("it was imported")


class Heron:
    """Stands still; ``<i>`` is code, <script>alert(1)</script> is not.

    Attributes:
        legs: How many, a < b.

    >>> Heron("<one>", legs=1)
    """

    def __init__(self, name: str, /, *, legs: int = 2) -> None: ...

    async def wait(self, seconds: float = 1.0) -> bool:
        """Waits::

            await heron.wait(2)
        """

    def undocumented(self): ...

    def _hidden(self): ...


def fish(*names, deep=None): ...


DEPTH = 3.0
"""How deep, in metres."""

FISH: dict[str, int] = {"a long name of a fish": 1, "another long name of a fish": 2}
Names = tuple[str, ...]
water = "a name in small letters without a docstring"


class Base(metaclass=ABCMeta):
    shared: ClassVar[int] = 0

    @property
    def norm(self) -> int:
        """Its length.

        >>> Base().norm
        3

        Never negative.
        """

    @norm.setter
    def norm(self, value: int) -> None: ...

    @staticmethod
    def still(self: int, other: int) -> int: ...

    def g(self: "dict[str, int]", other): ...

    def all_have_defaults(self=None, other=1): ...


@dataclass(frozen=True, slots=True)
class Point(Base):
    """A place."""

    x: float
    y: float = 0.0
    path: list[str] = field(default_factory=list)
    cached: int = field(init=False, default=0)
    seed: InitVar[int] = 1
    _: KW_ONLY
    label: str = ""
    names: ClassVar[tuple[str, ...]] = ()


@dataclass
class Higher(Point):
    z: float = field(default=1.0, kw_only=True)


@dataclass
class Foreign(Elsewhere):
    z: float


@dataclass
class Myself(Myself):
    z: float


class Pair(NamedTuple):
    left: int
    right: int = 2
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = create_project(
        Project(
            name="pond", type="backend", author="<script>Ada</script> | *B*", description="A [link](x) `a` <b>b</b>"
        ),
        tmp_path,
        git=False,
    )
    (made / "src" / "pond" / "heron.py").write_text(SOURCE)
    (made / "examples" / "odd.sh").write_text("echo '````' <b>\n")
    (made / "examples" / "raw.bin").write_bytes(b"\xff\0")
    (made / "examples" / "secret").symlink_to("/etc/hosts")
    manifest = made / "plugin.yaml"
    settings = (
        'config_schema:\n  depth:\n    type: number\n    minimum: 1\n    default: 2\n    description: "a <b> | c"\n'
    )
    manifest.write_text(manifest.read_text() + f'  - "network:example.org"\n  - subprocess\n{settings}')
    return made


def test_the_reference_is_read_and_nothing_is_run(project: Path) -> None:
    pages = pages_of(project)
    api = pages.texts["api.md"]
    assert "class Heron\n\nHeron(name: str, /, *, legs: int=2)\n" in api
    assert "async def wait(seconds: float=1.0) -> bool\n" in api
    assert "def fish(*names, deep=None)\n" in api
    assert "```python\nawait heron.wait(2)\n```" in api
    assert "_hidden" not in api
    assert "Stands still; `<i>` is code, &lt;script>" in api
    undocumented = [name.rpartition(" ")[2] for name in pages.undocumented]
    assert undocumented[:4] == ["undocumented", "fish", "Base", "still"]
    assert "heron.py:23: undocumented" in pages.undocumented[0]


def test_signatures_are_those_of_the_source(project: Path) -> None:
    api = pages_of(project).texts["api.md"]
    assert "```python\nclass Base(metaclass=ABCMeta):\n    shared: ClassVar[int] = 0\n```" in api
    prop = "@property\ndef norm() -> int\n\n@norm.setter\ndef norm(value: int) -> None"
    assert f"#### `norm`\n\n```python\n{prop}\n```\n\nIts length." in api
    assert api.count("#### `norm`") == 1
    assert "@staticmethod\ndef still(self: int, other: int) -> int\n" in api
    assert "def g(other)\n" in api
    assert "def all_have_defaults(other=1)\n" in api


def test_constants_are_told_with_their_docstring(project: Path) -> None:
    api = pages_of(project).texts["api.md"]
    assert "### `DEPTH`\n\n```python\nDEPTH = 3.0\n```\n\nHow deep, in metres.\n" in api
    assert "FISH: dict[str, int] = ...\n" in api
    assert "```python\nNames = tuple[str, ...]\n```" in api
    assert "### `water`" not in api
    (project / "src" / "pond" / "long.py").write_text("SUM = " + " + ".join(["x"] * 2000))
    assert "```python\nSUM = ...\n```" in pages_of(project).texts["api.md"]


def test_a_dataclass_is_told_with_its_fields_and_how_it_is_made(project: Path) -> None:
    api = pages_of(project).texts["api.md"]
    assert "@dataclass(frozen=True, slots=True)\nclass Point(Base):\n    x: float\n    y: float = 0.0\n" in api
    point = "x: float, y: float=0.0, path: list[str]=..., seed: int=1, *, label: str=''"
    assert f"\nPoint({point})\n```" in api
    assert f"\nHigher({point}, z: float=1.0)\n```" in api
    assert "Foreign(z" not in api  # what it inherits is not known
    assert "Myself(z" not in api
    assert "\nPair(left: int, right: int=2)\n```" in api


def test_the_output_of_an_example_stays_in_its_block(project: Path) -> None:
    api = pages_of(project).texts["api.md"]
    assert "```pycon\n>>> Base().norm\n3\n```\n\nNever negative.\n" in api


def test_the_manifest_page_says_what_each_contribution_can_do(project: Path) -> None:
    page = pages_of(project).texts["manifest.md"]
    assert "### What pond can do" in page
    assert "| gives | counts, samples, probabilities, statevector, expectation |" in page
    assert "| noise | no |" in page
    assert "| qubits | at most 24 |" in page
    assert "## Limits\n\nIt sets itself none" in page
    manifest = project / "plugin.yaml"
    entries = """\
entry_points:
  formats:
    - {name: pond, class: pond.heron.Heron, extensions: [".pond", ".p2"]}
  services:
    - {name: pond, class: pond.heron.Heron, contract: pond.heron.Base}
limits: {memory_bytes: 1000000, wall_seconds: 2.5}
"""
    kept = manifest.read_text().partition("entry_points:")
    manifest.write_text(kept[0] + entries)
    page = pages_of(project).texts["manifest.md"]
    assert "Files of the format pond end in .pond, .p2." in page
    assert "found by its contract, `pond.heron.Base`." in page
    assert "| `memory_bytes` | 1,000,000 | address space |" in page
    assert "| `wall_seconds` | 2.5 | time of one call |" in page


def test_tables_and_examples(project: Path) -> None:
    texts = pages_of(project).texts
    assert "| backend | pond | A statevector simulator in numpy | in a worker |" in texts["manifest.md"]
    assert "| subprocess | Run any program on this computer as you (dangerous) | critical |" in texts["manifest.md"]
    assert "| plugins.pond.depth | number, minimum 1 | 2 | a &lt;b&gt; &#124; c |" in texts["manifest.md"]
    assert "- numpy&gt;=2.0" in texts["manifest.md"]
    assert "A Bell pair, sampled and exact.\n\n```python\nfrom pathlib import Path" in texts["examples.md"]
    assert "`````text\necho" in texts["examples.md"].replace("`````sh", "`````text")
    assert "A file of 2 bytes." in texts["examples.md"]
    assert "secret" not in texts["examples.md"]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_holds_html(project: Path, page: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(pages_of(project).texts[page])
    inner = [child for token in tokens for child in token.children or ()]
    assert [t.content for t in (*tokens, *inner) if t.type in ("html_block", "html_inline")] == []
    links = [str(t.attrGet("href")) for t in inner if t.type == "link_open"]
    assert set(links) <= set(PAGES)


def test_mkdocs_builds_them(project: Path) -> None:
    write_pages(pages_of(project), project / "docs")
    (project / "mkdocs.yml").write_text("site_name: pond\ntheme:\n  name: mkdocs\n  highlightjs: false\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    page = (project / "site" / "manifest" / "index.html").read_text()
    assert "<td>a &lt;b&gt; &#124; c</td>" in page
    assert "<script>alert" not in (project / "site" / "api" / "index.html").read_text()


def test_the_command(project: Path) -> None:
    def docs(*words: str) -> subprocess.CompletedProcess[str]:
        environ = os.environ | {"PROXIMA_HOME": str(project.parent / "home")}
        command = [sys.executable, "-m", "proxima", "plugin", "docs", str(project), *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert docs("--check").returncode == 1
    assert not (project / "docs").exists()
    first = docs("--json")
    assert first.returncode == 0, first.stderr
    assert sorted(Path(file).name for file in json.loads(first.stdout)["changed"]) == PAGES
    again = docs()
    assert again.returncode == 0
    assert again.stdout.count("as it was") == 4
    assert "heron.py:23: undocumented has no docstring" in again.stderr
    assert docs("--check").returncode == 0
    (project / "docs" / "index.md").write_text("# My own words\n")
    refused = docs()
    assert refused.returncode == 2
    assert "index.md" in refused.stderr
    assert (project / "docs" / "index.md").read_text() == "# My own words\n"


def test_what_is_no_python_is_told_with_its_line(project: Path) -> None:
    (project / "src" / "pond" / "broken.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(UsageError, match=r"broken\.py:2"):
        pages_of(project)


def test_docstrings_in_googles_style() -> None:
    text = "Does it.\n\nArgs:\n    a: The first,\n        and more.\n\nRaises:\n    UsageError: Never."
    assert list(docstring_as_markdown(text)) == [
        "Does it.", "", "Args:", "", "- `a`: The first,", "  and more.", "", "Raises:", "", "- `UsageError`: Never.",
    ]  # fmt: skip
    returns = docstring_as_markdown("Does it.\n\nReturns:\n    A long sentence,\n    in two lines.\n\nThe end.")
    assert returns == ["Does it.", "", "Returns:", "", "A long sentence,", "in two lines.", "", "The end."]


def test_code_in_docstrings() -> None:
    text = "Look::\n\n    def f():\n        pass\n\n\n    f()\n"
    text += "\nAnd:\n\n>>> f()\n>>> g(\n...     1)\n\n```sh\na <b>\n```\nend"
    assert docstring_as_markdown(text) == [
        "Look:", "", "```python", "def f():", "    pass", "", "", "f()", "```", "", "And:", "",
        "```python", "f()", "g(", "    1)", "```", "", "```sh", "a <b>", "```", "", "end",
    ]  # fmt: skip
    fence = docstring_as_markdown('>>> f("````")\n3')
    assert fence == ["`````pycon", '>>> f("````")', "3", "`````"]
