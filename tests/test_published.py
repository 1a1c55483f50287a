"""Published fits in place of fits of one's own: they predict, allocate and stand beside answers."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import bayescale
from bayescale import InputError
from bayescale.cli.main import app
from bayescale.laws import LAWS, Chinchilla
from bayescale.publications import published, published_fits

invoke = CliRunner().invoke


def test_every_key_is_of_one_fit():
    keys = [fit.key for law in LAWS.values() for fit in law.published]
    assert sorted(keys) == sorted(set(keys)) == sorted(published_fits())


def test_answers_are_those_of_the_law():
    fit = published("hoffmann-2022")
    law, C = Chinchilla.from_published("hoffmann-2022"), 5.76e23
    found = bayescale.predict(fit, N=[70e9, 1e9], D=[1.4e12, 2e10])
    expected = [
        law.E + law.A * n**-law.alpha + law.B * d**-law.beta
        for n, d in ((70e9, 1.4e12), (1e9, 2e10))
    ]
    np.testing.assert_allclose([i.median for i in found.intervals], expected, rtol=1e-12)
    assert found.kind == "law"  # a new run's scatter was not published
    assert found.is_point
    assert np.isnan(found.decades_beyond).all()
    best = bayescale.allocate(fit, C=C)
    G = (law.alpha * law.A / (law.beta * law.B)) ** (1 / (law.alpha + law.beta))
    N = G * (C / 6) ** (law.beta / (law.alpha + law.beta))  # equation 4 of the paper
    assert best.intervals["N"][0].median == pytest.approx(N, rel=1e-10)
    assert best.intervals["tokens_per_parameter"][0].median == pytest.approx(C / 6 / N**2)
    for answer in (found, best):
        assert "points without intervals, since no draws were published" in repr(answer)
        assert "arXiv:2203.15556" in repr(answer)


def test_a_point_has_no_interval_in_json():
    (point,) = bayescale.predict(published("besiroglu-2024"), N=1e9, D=2e10).to_json()["points"]
    assert point["lower"] is None
    assert point["upper"] is None
    (budget,) = bayescale.allocate(published("besiroglu-2024"), C=1e21).to_json()["budgets"]
    assert budget["N"]["lower"] is None
    assert budget["N"]["median"] > 0


def test_commands_take_a_key_for_a_fit(tmp_path):
    done = invoke(app, ["allocate", "hoffmann-2022", "--flops", "1e24", "--json",
                        "--compare-to", "besiroglu-2024,busbridge-2025"])  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert list(said["compare_to"]) == ["besiroglu-2024", "busbridge-2025"]
    other = said["compare_to"]["besiroglu-2024"]["budgets"][0]["N"]["median"]
    assert other != said["budgets"][0]["N"]["median"]
    point = ["--params", "70e9", "--tokens", "1.4e12"]
    done = invoke(app, ["predict", "besiroglu-2024", *point, "--compare-to", "hoffmann-2022"])
    assert done.exit_code == 0, done.output
    assert "1.973" in done.stdout
    assert "1.921" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["allocate", "hofmann-2022", "--flops", "1e24"], "did you mean 'hoffmann-2022'?"),
        (["allocate", "hoffmann-2022", "--flops", "1e24", "--compare-to", "x"],
         "'x' is no published fit"),
        (["predict", "hoffmann-2022", "--params", "1e9", "--tokens", "1e10", "--backtest"],
         "it is a published fit"),
    ],
)  # fmt: skip
def test_bad_requests(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        invoke(app, arguments, catch_exceptions=False)


def test_unknown_key():
    with pytest.raises(InputError, match="'kaplan' is no published fit"):
        published("kaplan")
