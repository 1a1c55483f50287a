"""Outliers: for each run, the probability that its own scatter is larger than chance allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri_exp

from bayescale.drift import log_compute
from bayescale.errors import InputError, Problem, shown
from bayescale.intervals import flat
from bayescale.model import span_of
from bayescale.posterior import Posterior
from bayescale.prediction import mean_loss
from bayescale.runs import Runs
from bayescale.tables import Column, Table, number

if TYPE_CHECKING:
    import pandas

SHOWN = 10  # runs in print
LIKELY = 0.5  # probability from which a run is counted as an outlier

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outliers:
    """The runs of a fit by the probability that they are outliers.

    Parameters
    ----------
    law, noise
        Names of what was fitted.
    prior_probability
        That any of so many runs is an outlier, before they are seen.
    k
        Scatter beyond which a run is an outlier, in sd of the core.
    runs, compute
        The runs, and the FLOPs of each (the product of the inputs for other laws), shape (runs,).
    probability
        Of each run: the share of posterior draws in which it is an outlier, shape (runs,).
    residual
        Median residual of log loss, shape (runs,).
    standardised
        Median of the residual in sd of the core, shape (runs,).
    """

    law: str
    noise: str
    prior_probability: float
    k: float
    runs: Runs
    compute: Floats
    probability: Floats
    residual: Floats
    standardised: Floats

    def __len__(self) -> int:
        """Return the number of runs that are more likely outliers than not."""
        return int((self.probability > LIKELY).sum())

    @property
    def order(self) -> NDArray[np.intp]:
        """Indices of the runs, the most probable outlier first."""
        return np.lexsort((-np.abs(self.standardised), -self.probability))

    @property
    def names(self) -> list[str]:
        """What each run is called: its place in the table."""
        return list(self.runs.places) or [f"row {i}" for i in range(len(self.runs))]

    def to_json(self) -> dict[str, Any]:
        """The outliers as plain data; `runs` in order, the most probable first."""
        return {
            "law": self.law,
            "noise": self.noise,
            "n_runs": len(self.runs),
            "n_outliers": len(self),
            "prior_probability": self.prior_probability,
            "k": self.k,
            "runs": self._rows(),
        }

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each run, the most probable outlier first."""
        import pandas

        return pandas.DataFrame(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        names, runs = self.names, self.runs
        return [
            {
                "row": i,
                "name": names[i],
                **{label: str(values[i]) for label, values in runs.labels.items()},
                **{symbol: float(values[i]) for symbol, values in runs.inputs.items()},
                "loss": float(runs.loss[i]),
                "residual": float(self.residual[i]),
                "standardised": float(self.standardised[i]),
                "probability": float(self.probability[i]),
            }
            for i in self.order.tolist()
        ]

    def table(self, count: int = SHOWN) -> Table:
        """Return the table of the most probable outliers, as it goes into a paper."""
        runs, names = self.runs, self.names
        caption = (
            f"Outliers among {len(runs)} runs, {self.law} law with {self.noise} noise: {len(self)} "
            f"more likely than not; the {min(count, len(runs))} most probable. A run is one if its "
            f"scatter is more than {self.k:.2f} sd of the core, which {self.prior_probability:.0%} of "
            "samples of so many normal runs contain."
        )
        symbols = ("N", "D") if {"N", "D"} <= set(runs.inputs) else tuple(runs.inputs)
        heads = ("run", *runs.labels, *symbols, "loss", "residual", "in sd", "probability")
        rows = tuple(
            (
                names[i],
                *(str(values[i]) for values in runs.labels.values()),
                *(number(float(f"{runs.inputs[s][i]:.4g}")) for s in symbols),
                f"{runs.loss[i]:.4g}",
                f"{100 * self.residual[i]:+.2g}%",
                f"{self.standardised[i]:+.1f}",
                f"{self.probability[i]:.2f}",
            )
            for i in self.order[:count].tolist()
        )
        return Table(caption, tuple(map(Column, heads)), rows)

    def __repr__(self) -> str:
        return f"{self.table().caption}\n{self.table().text()}"


def outliers(
    posterior: Posterior, *, prior_probability: float = 0.05, allow_failed: bool = False
) -> Outliers:
    r"""Return the probability of each run of a fit that it is an outlier.

    .. math:: p_i = P\left(|r_i| > k\, s_i \mid \mathrm{runs}\right), \qquad
              r_i = \ln L_i - \ln L_\theta(x_i), \qquad
              1 - (1 - 2\Phi(-k))^n = p_\mathrm{any}

    An outlier is a run whose own scatter, as it came out, is large: how large is chosen so that normal
    scatter makes any outlier at all among n runs with probability `prior_probability`. For Gaussian
    noise s is its sd, and this is Chaloner's and Brant's definition. Heavy tails would forgive what they
    are there to forgive, since nothing is far out for a Student-t of 3 degrees of freedom; so s is the
    **core** of the scatter, the sd of the normal that has the same middle 68%. For one-sided noise it is
    the scatter of tuned runs, and an outlier is likely an undertuned run. Standard errors of losses
    enter s, and so do the shifts of effects.

    The probability counts what the law leaves open: a run that moves the law towards itself is less
    surely an outlier. Nothing is left out of the fit; a heavy-tailed fit need not.

    Parameters
    ----------
    posterior
        The fit.
    prior_probability
        Of any outlier among the runs, above 0 and below 1.
    allow_failed
        Answer even if the sampling of the fit failed.

    Returns
    -------
    Outliers
        A probability, a residual and a standardised residual for each run.

    Raises
    ------
    InputError
        A probability outside (0, 1).
    FailedFitError
        The sampling of the fit failed.

    References
    ----------
    Chaloner and Brant 1988, A Bayesian approach to outlier detection and residual analysis, Biometrika
    75, 651-659, section 2.

    Examples
    --------
    >>> import bayescale
    >>> found = bayescale.outliers(bayescale.fit("byte-sweep", seed=0))
    >>> found.probability.shape == found.runs.loss.shape
    True
    """
    posterior.require_sound(allow_failed)
    runs, spec = posterior.runs, posterior.spec
    if spec.noise.counts:
        raise InputError(
            Problem("noise", f"{spec.noise.name!r} is of counts", "its rows have no residuals",
                    "fit with --noise student-t")
        )  # fmt: skip
    k = threshold(len(runs), prior_probability)
    inputs = {symbol: runs[symbol] for symbol in spec.law.inputs}
    residual = np.log(runs.loss) - np.log(mean_loss(posterior, inputs))
    noise = jax.tree.map(lambda field: field[:, None], posterior.flat_noise())
    known = runs.relative_se
    if spec.effects is not None:
        known = np.hypot(known, flat(spec.effects.alone(posterior.coordinates))[:, None])
    below = span_of(runs, spec.law.inputs).below(log_compute(inputs))
    standardised = residual / noise.core(known, below)
    two = {"N", "D"} <= set(inputs)
    return Outliers(
        law=spec.law.name,
        noise=spec.noise.name,
        prior_probability=prior_probability,
        k=k,
        runs=runs,
        compute=runs.C if two else 10 ** log_compute(inputs),
        probability=(np.abs(standardised) > k).mean(axis=0),
        residual=np.median(residual, axis=0),
        standardised=np.median(standardised, axis=0),
    )


def threshold(n: int, prior_probability: float) -> float:
    """Return k: normal scatter of n runs exceeds it anywhere with this probability.

    Raises
    ------
    InputError
        A probability outside (0, 1).
    """
    if not 0 < prior_probability < 1:
        raise InputError(
            Problem("prior_probability", f"it is {shown(prior_probability)}",
                    "it is that of any outlier among the runs", "give a number between 0 and 1")
        )  # fmt: skip
    each = -math.expm1(math.log1p(-prior_probability) / n)
    return -float(ndtri_exp(math.log(each / 2)))
