import math

import numpy as np
import pytest

from proxima.contracts.execution import RunOptions
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.errors import UsageError


def test_options_are_read_from_what_a_user_writes():
    options = RunOptions.parse(
        want=["counts", "expectation:ZZ", "expectation:0.5*XX", "counts"], noise="bit_flip:0.1", shots=5, seed=None
    )
    assert options.wants == ("counts", "expectation")
    assert options.observables == (PauliSum.parse("ZZ"), PauliSum.parse("0.5*XX"))
    assert options.noise == NoiseModel.parse("bit_flip:0.1")
    assert (options.shots, options.seed, options.backend) == (5, None, "auto")
    assert RunOptions.parse(want="statevector").wants == ("statevector",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"want": "state"}, "unknown result 'state'"),
        ({"want": "gradient"}, "unknown result 'gradient'"),
        ({"want": "expectation"}, "unknown result 'expectation'"),
        ({"want": "counts:ZZ"}, "unknown result 'counts:ZZ'"),
        ({"want": "expectation:Q"}, "cannot read the observable 'Q'"),
        ({"noise": "loud:1"}, "unknown noise 'loud'"),
        ({"speed": 1}, "there is no run option called 'speed'"),
        ({"shots": 0}, "shots: expected a whole number from 1 to 1000000000, got 0"),
        ({"shots": 10**9 + 1}, "shots: expected"),
        ({"shots": True}, "shots: expected .* got True"),
        ({"shots": 1.5}, "shots: expected .* got 1.5"),
        ({"seed": -1}, r"seed: expected a whole number from 0 to 2\^63 - 1"),
        ({"seed": 2**63}, "seed: expected"),
        ({"precision": "half"}, "precision: expected single or double, got 'half'"),
        ({"threads": 0}, "threads: expected a whole number from 1"),
        ({"deadline": 0}, "deadline: expected a positive number of seconds"),
        ({"deadline": math.nan}, "deadline: expected"),
        ({"deadline": "soon"}, "deadline: expected a positive number of seconds, got 'soon'"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(UsageError, match=message):
        RunOptions.parse(**options)


@pytest.mark.parametrize("name", ["shots", "seed", "threads"])
def test_numpys_integers_are_whole_numbers(name):
    made = RunOptions.parse(**{name: np.int64(3)})
    assert type(getattr(made, name)) is int


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": 0.1}, "unknown noise '0.1'"),
        ({"want": [1]}, "unknown result 1"),
        ({"want": None}, "unknown result None"),
        ({"parameters": {"t": "b"}}, "parameters: expected a mapping of names to numbers"),
        ({"options": "x"}, "options: expected a mapping"),
    ],
)
def test_values_of_the_wrong_type_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        RunOptions.parse(**options)


def test_a_noise_model_is_taken_as_it_is():
    model = NoiseModel.parse("depolarizing:0.01")
    assert RunOptions.parse(noise=model).noise is model
