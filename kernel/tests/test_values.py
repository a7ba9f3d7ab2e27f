"""`proxima.values.dataclass` makes what the standard library's makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, field, fields, replace

import pytest

from proxima.events import PluginStateChanged
from proxima.sandbox.policy import Limits
from proxima.values import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """A point."""

    x: float
    y: float = 0.0
    tags: list[str] = field(default_factory=list, compare=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    name: str
    size: int = 1


@dataclass(frozen=True, slots=True)
class Checked:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("negative")
        object.__setattr__(self, "number", 2 * self.number)


@dataclass(frozen=True, slots=True)
class Alike:
    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alike) and self.text.lower() == other.text.lower()

    def __repr__(self) -> str:
        return "alike"


@dataclass(frozen=True, slots=True)
class Holder:
    inner: object


@dataclass(frozen=True, slots=True)
class Empty:
    pass


class Derived(Point):
    """Not a dataclass itself."""


@pytest.mark.parametrize("cls", [Point, Named, Checked, Holder, Empty, Limits])
def test_is_what_the_standard_library_makes(cls: type) -> None:
    plain = {name: value for name, value in vars(cls).items() if name in ("__annotations__", "__post_init__")}
    defaults = {f.name: f for f in fields(cls) if f.default is not dataclasses.MISSING}
    plain |= {name: f.default for name, f in defaults.items()}
    plain |= {f.name: field(default_factory=f.default_factory) for f in fields(cls) if callable(f.default_factory)}
    kw_only = all(f.kw_only for f in fields(cls)) and bool(fields(cls))
    theirs = dataclasses.dataclass(frozen=True, slots=True, kw_only=kw_only)(type(cls.__name__, (), plain))
    assert cls.__slots__ == theirs.__slots__
    assert cls.__match_args__ == theirs.__match_args__
    assert cls.__dataclass_params__.frozen is theirs.__dataclass_params__.frozen
    assert list(inspect.signature(cls).parameters) == list(inspect.signature(theirs).parameters)
    assert [p.kind for p in inspect.signature(cls).parameters.values()] == [
        p.kind for p in inspect.signature(theirs).parameters.values()
    ]
    assert cls.__init__.__annotations__ == theirs.__init__.__annotations__


def test_takes_its_fields_by_place_and_by_name() -> None:
    assert (Point(1.0).y, Point(1.0, y=2.0).y, Point(1.0, 2.0).y) == (0.0, 2.0, 2.0)
    assert Point(1.0).tags is not Point(1.0).tags
    assert Named(name="a").size == 1
    for wrong in (lambda: Point(), lambda: Point(1.0, z=1), lambda: Named("a")):  # type: ignore[call-arg,misc]
        with pytest.raises(TypeError, match=r"(Point|Named)\.__init__\(\)"):
            wrong()


def test_cannot_be_changed() -> None:
    point = Point(1.0)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2.0  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        point.other = 2.0  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    derived = Derived(1.0)
    derived.other = 3  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        derived.x = 2.0  # type: ignore[misc]


def test_equals_by_its_compared_fields_and_its_class() -> None:
    assert Point(1.0, 2.0, ["a"]) == Point(1.0, 2.0, ["b"])
    assert hash(Point(1.0, 2.0, ["a"])) == hash(Point(1.0, 2.0, ["b"]))
    assert Point(1.0) != Point(2.0)
    assert Point(1.0) != Derived(1.0)
    assert Point(1.0) != (1.0, 0.0, "")
    assert (Empty(), hash(Empty())) == (Empty(), hash(Empty()))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Holder([]))


def test_keeps_what_a_class_says_itself() -> None:
    assert Alike("A") == Alike("a")
    assert repr(Alike("a")) == "alike"
    assert hash(Alike("a")) == hash(Alike("a"))


def test_shows_its_fields() -> None:
    inner: list[object] = []
    holder = Holder(inner)
    inner.append(holder)
    assert repr(Point(1.0, secret="s")) == "Point(x=1.0, y=0.0, tags=[])"
    assert repr(holder) == "Holder(inner=[...])"
    assert repr(Empty()) == "Empty()"


def test_works_with_what_takes_dataclasses() -> None:
    point = Point(1.0, 2.0, ["a"])
    assert replace(point, x=3.0) == Point(3.0, 2.0)
    assert replace(Checked(1), number=5).number == 10
    assert asdict(point) == {"x": 1.0, "y": 2.0, "tags": ["a"], "secret": ""}
    for other in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert other == point
        assert other.tags == ["a"]
    match point:
        case Point(x, y):
            assert (x, y) == (1.0, 2.0)


def test_checks_after_it_was_made() -> None:
    assert Checked(2).number == 4
    with pytest.raises(ValueError, match="negative"):
        Checked(-1)


def test_others_may_derive_dataclasses_from_it() -> None:
    @dataclasses.dataclass(frozen=True)
    class Three(Point):
        z: float = 0.0

    @dataclass(frozen=True, slots=True)
    class Four(Point):
        z: float = 0.0

    assert (Three(1.0, z=3.0).z, Four(1.0, z=3.0).z) == (3.0, 3.0)
    assert Four(1.0, z=3.0) != Four(1.0)
    assert PluginStateChanged(plugin="a", state="b").plugin == "a"
