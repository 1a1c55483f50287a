"""Bootstrap: what other runs of the same kind would have said, beside what the posterior says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayescale.diagnostics import Verdict
from bayescale.effects import Effects, get_effects
from bayescale.errors import FailedFitError, InputError, Problem
from bayescale.inference.batch import Method
from bayescale.intervals import DEFAULT_LEVEL, Interval
from bayescale.laws import Law
from bayescale.noise import Noise, get_noise
from bayescale.priors import Prior
from bayescale.runs import Runs
from bayescale.sweep.executors import Executor
from bayescale.sweep.many import ManyFits
from bayescale.sweep.pace import Announce
from bayescale.sweep.quantities import interval_of
from bayescale.sweep.reweighted import Clusters, Resampled, fit_variants
from bayescale.sweep.running import Progress
from bayescale.tables import Column, Table

if TYPE_CHECKING:
    import pandas

DRAWS = 100  # kept of each sample's posterior
WIDER = 1.5  # intervals of the samples' medians over those of the posterior, from which it is told
KINDS = ("posterior", "bootstrap", "bagged")


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Intervals of a fit beside those that resampling its runs gives.

    Parameters
    ----------
    law, noise
        Names of the law and of the noise model.
    level
        Mass of the intervals.
    intervals
        ``"posterior"`` (all runs), ``"bootstrap"`` (the medians of the samples' posteriors) and
        ``"bagged"`` (draws of all samples' posteriors together), each a mapping of quantity to
        `Interval`.
    labels
        Quantity to what it is called in the table.
    answers
        The quantities that decide.
    n_runs, n_clusters, clusters
        Number of runs and of what was drawn; the label or input by which runs were drawn together.
    samples, lost
        Number of samples that were used, and of those that could not be fitted.
    fits
        The posterior of all runs and of each sample, a row each.
    """

    law: str
    noise: str
    level: float
    intervals: Mapping[str, Mapping[str, Interval]]
    labels: Mapping[str, str]
    answers: tuple[str, ...]
    n_runs: int
    n_clusters: int
    clusters: str | None
    samples: int
    lost: int
    fits: ManyFits

    @property
    def widths(self) -> dict[str, float]:
        """Width of the bootstrap interval over that of the posterior, for each quantity."""
        pairs = {
            name: (self.intervals["bootstrap"][name], self.intervals["posterior"][name])
            for name in self.labels
        }
        return {k: (b.upper - b.lower) / (p.upper - p.lower) for k, (b, p) in pairs.items()}

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the comparison says against the fit."""
        widths, found = self.widths, []
        name = max(self.answers, key=lambda name: widths[name])
        if widths[name] > WIDER:
            found.append(
                Verdict(
                    "bootstrap-wider", "warn",
                    f"resampled runs move {self.labels[name]} {widths[name]:.1f} times as far as its "
                    "posterior allows.",
                    "The law, the noise or the independence of the runs is in doubt: see influence, "
                    "try another law, or draw runs that share an error together (clusters); the "
                    "bagged interval holds both uncertainties.",
                )
            )  # fmt: skip
        if self.lost:
            found.append(
                Verdict(
                    "samples-lost", "warn",
                    f"{self.lost} of {self.samples + self.lost} samples could not be fitted.",
                    "The rows of fits say why.",
                )
            )  # fmt: skip
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The bootstrap as plain data."""
        return {
            "law": self.law,
            "noise": self.noise,
            "level": self.level,
            "n_runs": self.n_runs,
            "clusters": self.clusters,
            "n_clusters": self.n_clusters,
            "samples": self.samples,
            "lost": self.lost,
            "quantities": {
                name: {
                    "label": label,
                    **{kind: self.intervals[kind][name].to_json() for kind in KINDS},
                    "width_ratio": self.widths[name],
                }
                for name, label in self.labels.items()
            },
            "verdicts": [asdict(v) for v in self.verdicts],
        }

    def to_frame(self) -> pandas.DataFrame:
        """The intervals as a data frame, a row for each quantity."""
        import pandas

        rows = self.to_json()["quantities"]
        return pandas.json_normalize(
            [{"quantity": name} | row for name, row in rows.items()], sep="_"
        )

    def table(self) -> Table:
        """Return the table of the intervals, as it goes into a paper."""
        drawn = f"{self.n_clusters} clusters by {self.clusters}" if self.clusters else "runs"
        caption = (
            f"Bootstrap of {self.n_runs} runs, {drawn} drawn with replacement, {self.samples} samples, "
            f"{self.law} law with {self.noise} noise: median and {self.level:.0%} interval of the "
            "posterior, of the medians of the samples, and of all samples' posteriors together; the "
            "width of the second over that of the first."
        )
        heads = ("quantity", "posterior", "bootstrap", "bagged", "ratio")
        rows: tuple[Any, ...] = tuple(
            (label, *(self.intervals[kind][name] for kind in KINDS), f"{self.widths[name]:.2f}")
            for name, label in self.labels.items()
        )
        return Table(caption, tuple(map(Column, heads)), rows)

    def __repr__(self) -> str:
        return "\n".join([self.table().caption, self.table().text(), *map(str, self.verdicts)])


def bootstrap(
    runs: Any,
    law: str | type[Law] = "chinchilla",
    noise: str | type[Noise] = "student-t",
    *,
    samples: int = 200,
    clusters: str | None = None,
    points: Mapping[str, ArrayLike] | None = None,
    flops: ArrayLike | None = None,
    x: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    effects: str | Effects | None = None,
    allow: Collection[str] = (),
    method: Method = "auto",
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    executor: str | Executor = "local",
    progress: Progress | None = None,
    announce: Announce | None = None,
) -> Bootstrap:
    r"""Fit a law to bootstrap samples of the runs, and compare with the posterior of all runs.

    .. math:: p_b(\theta) \propto p(\theta) \prod_i p(\ln L_i \mid \theta)^{w_{b,i}}

    w counts how often sample b has drawn run i. If the model is right, the medians of the samples
    scatter as widely as the posterior says. If they scatter more widely, the posterior is too sure;
    the draws of all samples together (the bagged posterior) hold both uncertainties.

    Parameters
    ----------
    runs, law, noise, x, priors, effects, allow
        As for `bayescale.fit`.
    samples
        Number of bootstrap samples, 2 or more.
    clusters
        Draw together the runs that share this label (``group``, ``seed``, ``run_id``) or input
        (``N``, ``D``, ...): for runs that share an error. With effects, it is their label unless
        given: rows that share a shift are drawn together.
    points
        Symbol to values: the law's loss there is among the quantities.
    flops
        Budgets: the optimum under C = k N D, with the runs' own k, is among the quantities.
    method, level, executor, progress, announce
        As for `bayescale.fit_many`.
    seed
        Seed of the samples and of their posteriors.

    Returns
    -------
    Bootstrap
        Three intervals for each quantity.

    Raises
    ------
    InputError
        The runs, the law or an option cannot be used.
    FailedFitError
        The posterior of all runs could not be sampled.

    References
    ----------
    Efron 1979, Bootstrap methods: another look at the jackknife, Annals of Statistics 7, 1-26.
    Huggins and Miller 2019, Robust inference and model criticism using bagged posteriors,
    arXiv:1912.07104.

    Examples
    --------
    >>> result = bootstrap("byte-sweep", samples=9, flops=1e14, method="laplace-is")
    >>> sorted(result.intervals)
    ['bagged', 'bootstrap', 'posterior']
    """
    if samples < 2:
        raise InputError(Problem("samples", f"it is {samples}", remedy="give 2 or more"))
    shared = get_effects(effects, get_noise(noise))
    clusters = shared.label if clusters is None and shared is not None else clusters

    def resampled(drawn: Clusters, table: Runs) -> Resampled:
        if shared is not None:
            _check_nested(shared, table, drawn, clusters)
        return Resampled(drawn, samples, seed)

    found = fit_variants(
        runs, law, noise, clusters, resampled,
        points=points, flops=flops, x=x, priors=priors, effects=effects, allow=allow, method=method,
        seed=seed, level=level, draws=DRAWS, executor=executor, progress=progress, announce=announce,
    )  # fmt: skip
    spec, targets = found.job.spec, found.job.targets
    rows = {row["set"]: row for row in found.others}
    good = [name for name, row in rows.items() if row["status"] in ("ok", "warn")]
    if len(good) < 2:
        reasons = {row["reason"] for row in rows.values()}
        raise FailedFitError(f"{len(good)} of {samples} samples could be fitted: {reasons.pop()}")
    names = targets.names(spec)
    draws = [found.fits.draws(name) for name in good]
    return Bootstrap(
        law=spec.law.name,
        noise=spec.noise.name,
        level=found.job.level,
        intervals={
            "posterior": {name: interval_of(found.whole, name) for name in names},
            "bootstrap": {
                name: Interval.of([rows[g][f"{name}_median"] for g in good], level)
                for name in names
            },
            "bagged": {
                name: Interval.of(np.concatenate([d[name] for d in draws]), level) for name in names
            },
        },
        labels=targets.labels(spec),
        answers=targets.answers(spec),
        n_runs=len(found.runs),
        n_clusters=len(found.clusters.names),
        clusters=clusters,
        samples=len(good),
        lost=samples - len(good),
        fits=found.fits,
    )


def _check_nested(effects: Effects, runs: Runs, drawn: Clusters, clusters: str | None) -> None:
    """Refuse clusters that part a group: a group's shift is drawn as a whole or not at all."""
    names, group = effects.groups(runs)
    for g, name in enumerate(names):
        if len(set(drawn.codes[group == g].tolist())) > 1:
            raise InputError(
                Problem("clusters", f"by {clusters}, rows of {effects.label} {name} are drawn apart",
                        "they share a shift, which is drawn as a whole",
                        f"draw by {effects.label}, or by something that contains it")
            )  # fmt: skip
