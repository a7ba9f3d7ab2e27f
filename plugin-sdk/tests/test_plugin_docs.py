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
    assert [name.rpartition(" ")[2] for name in pages.undocumented] == ["undocumented", "fish"]
    assert "heron.py:23: undocumented" in pages.undocumented[0]


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
