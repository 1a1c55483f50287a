"""A law of one's own is checked before it is fitted, and what is wrong with it is said."""

import subprocess
import sys
from typing import ClassVar

import pytest

import bayescale
from bayescale import InputError, check_law
from bayescale.laws import LAWS, Power
from bayescale.parameters import Coordinate, parameter
from bayescale.priors import LogNormal, Normal


class Shifted(Power):
    """Its inverse forgets the reference."""

    name: ClassVar = "shifted"

    def to_coordinates(self, reference):
        return {**super().to_coordinates(reference), "alpha": self.alpha + 0.1}


class Rising(Power):
    """Its exponent has the wrong sign."""

    name: ClassVar = "rising"

    def loss(self, x):
        return super().loss({"x": 1 / x["x"]})

    def to_coordinates(self, reference):
        return super().to_coordinates({"x": 1 / reference["x"]})

    @classmethod
    def from_coordinates(cls, coordinates, reference):
        return super().from_coordinates(coordinates, {"x": 1 / reference["x"]})


class Negative(Power):
    """Its loss may be below 0."""

    name: ClassVar = "negative"
    coordinates: ClassVar = (
        Coordinate("L_ref", Normal(0.0, 1.0), "L_0", "loss"),
        *Power.coordinates[1:],
    )


class Short(Power):
    """It has a parameter without a coordinate."""

    name: ClassVar = "short"
    k: float = parameter("k", "a parameter that nothing is known of")


class Large(Power):
    """Its intermediate numbers are too large for 32 bits."""

    name: ClassVar = "large"
    coordinates: ClassVar = (
        *Power.coordinates[:2],
        Coordinate("alpha", LogNormal(4.0, 0.1), r"\alpha", "exponent"),
    )

    def loss(self, x):
        return self.E + self.c / x["x"] ** self.alpha


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (Shifted, "to_coordinates gives 'alpha' back as .*is the inverse"),
        (Rising, "its loss does not fall in x for 100% of the prior's draws"),
        (Negative, "must be finite and above 0 wherever the prior goes"),
        (Short, "it has 4 parameters and 3 coordinates"),
        (Large, "overflows in 32 bits"),
    ],
)
def test_what_is_wrong_is_said(law, message, runs):
    with pytest.raises(InputError, match=message):
        check_law(law, runs, x="N")


@pytest.mark.parametrize("name", [name for name, law in LAWS.items() if law.usual])
def test_the_laws_of_the_package_pass(name, runs):
    check_law(name, runs, x="N" if LAWS[name].inputs == ("x",) else None)


OWN = """
from typing import ClassVar
from bayescale.laws import Power

class Own(Power):
    name: ClassVar = "own"
"""


def test_the_command_finds_a_law_in_the_folder_it_is_typed_in(tmp_path, csv):
    (tmp_path / "own_law.py").write_text(OWN)
    words = ["fit", str(csv), "--columns", "params=size,tokens=seen,loss=ppl", "--x", "params",
             "--law", "own_law:Own", "--drift", "none", "--json"]  # fmt: skip
    script = "import sys; sys.path.remove(''); from bayescale.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert '"law": "own"' in done.stdout


@pytest.mark.parametrize(
    ("columns", "law", "fitting"),
    [
        ({"N": [1e8, 2e8]}, "chinchilla", "kaplan-n"),
        ({"N": [1e8, 2e8]}, "chinchilla", "power"),
        ({"N": [1e8, 2e8], "experts": [1, 8]}, "joint-moe", "routed"),
        ({"N": [1e8, 2e8], "D": [1e9, 3e9]}, "repeated", "coupled"),
    ],
)
def test_a_missing_column_names_the_laws_that_fit(columns, law, fitting):
    with pytest.raises(InputError, match=rf"Laws of the columns that are there: .*\b{fitting}\b"):
        bayescale.fit({**columns, "loss": [3.0, 2.9]}, law=law)
