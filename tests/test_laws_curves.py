"""Laws of loss curves: schedules of several runs, and what the laws make of them."""

import numpy as np
import pytest

import bayescale
from bayescale import InputError
from bayescale.laws import Annealing, MultiPower, law_losses

STEPS = np.arange(100.0, 4001.0, 100.0)
PEAK = 1e-3


def schedules():
    """A constant schedule, cosine to a tenth, and decay over the last fifth: rows of three runs."""
    share = STEPS / STEPS[-1]
    cosine = PEAK * (0.55 + 0.45 * np.cos(np.pi * share))
    late = PEAK * np.clip((1.001 - share) / 0.2, 0.01, 1.0)
    return {
        "step": np.tile(STEPS, 3),
        "lr": np.concatenate([np.full(len(STEPS), PEAK), cosine, late]),
        "run_id": np.repeat(["constant", "cosine", "late"], len(STEPS)),
    }


LAWS = {
    "annealing": Annealing(L0=2.6, A=0.45, alpha=0.5, C=0.35, memory=300.0),
    "multi-power": MultiPower(L0=2.6, A=0.45, alpha=0.5, B=80.0, C=2.0, beta=0.6, gamma=0.6),
}


def curves(name, omega=0.002, sigma=0.001, seed=0):
    table, generator = schedules(), np.random.default_rng(seed)
    mean = law_losses(_many(name), {s: table[s] for s in ("step", "lr")})[0]
    shift = np.repeat(omega * generator.standard_normal(3), len(STEPS))
    return table | {"loss": mean * np.exp(shift + sigma * generator.standard_normal(len(mean)))}


def test_a_run_begins_where_the_step_does_not_rise():
    table = schedules()
    whole = law_losses(_many("annealing"), table)[0]
    for i in range(3):
        rows = slice(i * len(STEPS), (i + 1) * len(STEPS))
        part = law_losses(_many("annealing"), {s: table[s][rows] for s in ("step", "lr")})[0]
        np.testing.assert_allclose(part, whole[rows], rtol=1e-12)


def _many(name):
    law = LAWS[name]
    return type(law)(**{p.name: np.array([getattr(law, p.name)]) for p in law.parameters()})


@pytest.mark.parametrize("name", LAWS)
def test_annealing_lowers_the_loss_and_no_annealing_does_not(name):
    table = schedules()
    constant, _, late = np.split(law_losses(_many(name), table)[0], 3)
    assert late[-1] < constant[-1]
    before = 0.75 * STEPS[-1] > STEPS
    np.testing.assert_allclose(late[before], constant[before], rtol=1e-12)


@pytest.mark.nightly
@pytest.mark.parametrize("name", LAWS)
def test_the_final_loss_of_a_schedule_is_forecast(name):
    """Fitted on two schedules, asked for a third one: the interval holds what its law gives."""
    table = curves(name)
    others = table["run_id"] != "late"
    seen = {column: values[others] for column, values in table.items()}
    fit = bayescale.fit(seen, law=name, effects="run_id", drift="none", seed=0)
    assert fit.diagnostics.verdict != "failed", fit.diagnostics
    points = {s: table[s][~others] for s in ("step", "lr")}
    prediction = bayescale.predict(fit, points=points)
    expected = law_losses(_many(name), points)[0][-1]
    last = prediction.intervals[-1]
    assert last.lower < expected < last.upper
    assert last.sd < 0.05


def test_checkpoints_without_effects_are_refused():
    with pytest.raises(InputError, match="effects run_id"):
        bayescale.fit(curves("annealing"), law="annealing")


def test_negative_steps_are_refused():
    table = curves("annealing")
    table["step"] = table["step"] - 500
    with pytest.raises(InputError, match=r"column 'step': the value is -400"):
        bayescale.fit(table, law="annealing", effects="run_id")
