import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

import proxima
from proxima.plugins.compatibility import KERNEL_API, release, unfit
from proxima_sdk.manifest.model import check_manifest

HERE = ".".join(map(str, sys.version_info[:3]))
MANIFEST = {"name": "tea", "version": "1", "description": "Tea", "license": "MIT", "type": "tool"}


def fits(**ranges):
    return check_manifest(MANIFEST | ranges, source="tea").compiled()["fits"]


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        ({}, ""),
        ({"kernel_api": f"{KERNEL_API}-{KERNEL_API + 8}"}, ""),
        ({"kernel_api": f"{KERNEL_API + 1}-{KERNEL_API + 8}"}, "needs kernel API >=2, <=9; this is 1"),
        ({"python_version": ">=3.9"}, ""),
        ({"python_version": ">=3.9,<3.10"}, f"needs Python <3.10, >=3.9; this is {HERE}"),
        ({"python_version": f"=={sys.version_info[0]}.*"}, ""),
        ({"python_version": f"!={sys.version_info[0]}.*"}, f"needs Python !=3.*; this is {HERE}"),
        ({"python_version": f"!={HERE}"}, f"needs Python !={HERE}; this is {HERE}"),
        ({"python_version": "~=3.0"}, ""),
        ({"proxima_version": f"=={proxima.__version__}"}, ""),
        ({"proxima_version": f"=={proxima.__version__}.0.0"}, ""),
        ({"proxima_version": "==0.1"}, ""),
        ({"proxima_version": ">=2.0.0,<3.0.0"}, "needs Proxima <3.0.0, >=2.0.0; this is 0.1.0"),
        ({"proxima_version": "~=0.1.5"}, "needs Proxima >=0.1.5, ==0.1.*; this is 0.1.0"),
        ({"proxima_version": ">0.1.0"}, "needs Proxima >0.1.0; this is 0.1.0"),
        ({"proxima_version": "<0.1"}, "needs Proxima <0.1; this is 0.1.0"),
    ],
)
def test_says_what_a_plugin_needs_and_what_there_is(ranges, reason):
    assert unfit(fits(**ranges)) == reason


versions = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda numbers: ".".join(map(str, numbers)))
specifiers = st.builds(
    lambda operator, version, wild: operator + version + (".*" if wild and operator in ("==", "!=") else ""),
    st.sampled_from([">=", "<=", "==", "!=", ">", "<", "~="]),
    versions,
    st.booleans(),
).filter(lambda text: not (text.startswith("~=") and "." not in text))


@settings(deadline=None)
@given(versions, st.lists(specifiers, min_size=1, max_size=3).map(",".join))
def test_judges_versions_as_packaging_does(monkeypatch_version, version, text):
    monkeypatch_version(version)
    assert (unfit(fits(proxima_version=text)) == "") == SpecifierSet(text).contains(version)


@pytest.fixture(scope="module")
def monkeypatch_version():
    before = proxima.__version__
    yield lambda version: setattr(proxima, "__version__", version)
    proxima.__version__ = before


@pytest.mark.parametrize(
    ("version", "numbers"), [("3.13.1", (3, 13, 1)), ("3.13rc1", (3, 13)), ("0.2.0.dev1", (0, 2, 0)), ("x", ())]
)
def test_only_the_numbers_of_a_version_count(version, numbers):
    assert release(version) == numbers


@pytest.mark.parametrize("fits", ["moon>=1", "python", "python~=3.11", "\x1b[31m>=1", "kernel-api"])
def test_what_this_kernel_does_not_understand_does_not_fit(fits):
    assert unfit(fits).isprintable()
    assert unfit(fits) != ""
