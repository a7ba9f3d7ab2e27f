"""What executors share: asking work for answers, and asking again."""

from __future__ import annotations

import pytest

from proxima.contracts.backend import CancelToken
from proxima.contracts.executor import answers
from proxima.errors import DeadlineExceededError, RunError, UsageError


class Doubled:
    """Doubles numbers; what it was asked for is kept, and where it fails, it fails with the next of ``errors``."""

    def __init__(self, at: int, *errors: Exception) -> None:
        self.at, self.errors = at, list(errors)
        self.asked: list[list[int]] = []

    def __call__(self, items, cancel):
        self.asked.append(list(items))
        for item in items:
            if item == self.at and self.errors:
                raise self.errors.pop(0)
            yield 2 * item


def test_work_is_asked_again_from_where_it_failed():
    work = Doubled(2, RunError("the engine failed"), RunError("and again"))
    assert list(answers(work, range(4), CancelToken(), retries=2)) == [0, 2, 4, 6]
    assert work.asked == [[0, 1, 2, 3], [2, 3], [2, 3]]


@pytest.mark.parametrize("error", [RunError("again"), DeadlineExceededError("late"), UsageError("wrong")])
def test_what_would_not_pass_and_what_goes_on_ends_it_after_the_answers_before(error):
    work = Doubled(2, RunError("the engine failed"), error)
    asked = answers(work, range(4), CancelToken(), retries=1)
    assert [next(asked), next(asked)] == [0, 2]
    with pytest.raises(type(error), match=str(error)):
        next(asked)


def test_retries_are_for_each_item():
    failing = {1, 3}

    def fails_once(items, cancel):
        for item in items:
            if item in failing:
                failing.remove(item)
                raise RunError("the engine failed")
            yield item

    assert list(answers(fails_once, range(5), CancelToken(), retries=1)) == [0, 1, 2, 3, 4]
