import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxima.contracts.observable import PauliSum
from proxima.errors import UsageError


@st.composite
def sums(draw):
    width = draw(st.integers(1, 5))
    coefficient = st.floats(allow_nan=False, allow_infinity=False)
    letters = st.text("IXYZ", min_size=width, max_size=width)
    return PauliSum(tuple(draw(st.lists(st.tuples(coefficient, letters), min_size=1, max_size=5))))


@given(sums())
def test_text_reads_back_as_the_same_sum(observable):
    assert PauliSum.parse(str(observable)) == observable


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Z", ((1.0, "Z"),)),
        ("-XY", ((-1.0, "XY"),)),
        ("0.5*ZZI - XIX", ((0.5, "ZZI"), (-1.0, "XIX"))),
        ("  2 Z+.5*X -1e-3Y ", ((2.0, "Z"), (0.5, "X"), (-0.001, "Y"))),
        ("1.*Z", ((1.0, "Z"),)),
    ],
)
def test_reads(text, terms):
    observable = PauliSum.parse(text)
    assert observable.terms == terms
    assert observable.num_qubits == len(terms[0][1])


def test_writes_as_a_person_would():
    assert str(PauliSum(((0.5, "ZZI"), (-1.0, "XIX")))) == "0.5*ZZI - XIX"
    assert str(PauliSum(((-2.0, "Z"), (1.0, "X")))) == "-2.0*Z + X"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must all have the same length, and there must be one"),
        ("ZZ + Z", "must all have the same length"),
        ("ZZ Z", "cannot read the observable 'ZZ Z' at character 4"),
        ("0.5*", "at character 1"),
        ("Z + Q", "at character 3"),
        ("z", "at character 1"),
        ("nan*Z", "at character 1"),
        ("1e999*Z", "a coefficient of '1e999[*]Z' is not a finite number"),
    ],
)
def test_refuses(text, message):
    with pytest.raises(UsageError, match=message):
        PauliSum.parse(text)


@given(st.text("IXYZ+-*.e0123456789 q", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        observable = PauliSum.parse(text)
    except UsageError:
        return
    assert PauliSum.parse(str(observable)) == observable
