"""bayescale: Bayesian scaling laws, with intervals for extrapolated loss and optimal allocation.

Names are loaded when they are first used, so that importing the package is fast and changes no
setting of JAX, NumPyro or matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescale import datasets, drift, laws, plots, priors, units
    from bayescale.allocation import Allocation, Architecture, Cost, allocate
    from bayescale.backtesting import Backtest, backtest
    from bayescale.calibration import Calibration, calibrate
    from bayescale.comparison import Comparison, compare
    from bayescale.designing import Design, design
    from bayescale.diagnostics import Diagnostics, Verdict
    from bayescale.downstream import ErrorPrediction, predict_error
    from bayescale.effects import Effects
    from bayescale.emergence import MetricComparison, compare_metrics, thresholded
    from bayescale.errors import BayescaleError, DesignError, FailedFitError, InputError
    from bayescale.estimation import PointEstimate, point_estimate
    from bayescale.fitting import fit
    from bayescale.identifiability import Identifiability, identify
    from bayescale.intervals import Interval
    from bayescale.isoflops import IsoFlop, isoflop
    from bayescale.law_checks import check_law
    from bayescale.leaving_out import Influence, influence
    from bayescale.mixture import Mixture
    from bayescale.monitoring import Monitoring, monitor
    from bayescale.outlying import Outliers, outliers
    from bayescale.plans import Assessment, Region, region, what_if
    from bayescale.pooled import PooledFit, load_pooled
    from bayescale.pooling import fit_pooled
    from bayescale.posterior import Posterior
    from bayescale.prediction import Prediction, predict
    from bayescale.publications import PublishedFit, published
    from bayescale.resampling import Bootstrap, bootstrap
    from bayescale.runs import Runs
    from bayescale.simulation import Simulation, simulate
    from bayescale.speedups import Speedup, speedup
    from bayescale.storage import load
    from bayescale.sweep.many import ManyFits, fit_many
    from bayescale.widening import widen

_HOMES = {
    "Allocation": "allocation",
    "Architecture": "allocation",
    "Assessment": "plans",
    "Backtest": "backtesting",
    "BayescaleError": "errors",
    "Bootstrap": "resampling",
    "Calibration": "calibration",
    "Comparison": "comparison",
    "Cost": "allocation",
    "Design": "designing",
    "DesignError": "errors",
    "Diagnostics": "diagnostics",
    "Effects": "effects",
    "ErrorPrediction": "downstream",
    "FailedFitError": "errors",
    "Identifiability": "identifiability",
    "Influence": "leaving_out",
    "InputError": "errors",
    "Interval": "intervals",
    "IsoFlop": "isoflops",
    "ManyFits": "sweep.many",
    "MetricComparison": "emergence",
    "Mixture": "mixture",
    "Monitoring": "monitoring",
    "Outliers": "outlying",
    "PointEstimate": "estimation",
    "PooledFit": "pooled",
    "Posterior": "posterior",
    "Prediction": "prediction",
    "PublishedFit": "publications",
    "Region": "plans",
    "Runs": "runs",
    "Simulation": "simulation",
    "Speedup": "speedups",
    "Verdict": "diagnostics",
    "allocate": "allocation",
    "backtest": "backtesting",
    "bootstrap": "resampling",
    "calibrate": "calibration",
    "check_law": "law_checks",
    "compare": "comparison",
    "compare_metrics": "emergence",
    "design": "designing",
    "fit": "fitting",
    "fit_many": "sweep.many",
    "fit_pooled": "pooling",
    "identify": "identifiability",
    "influence": "leaving_out",
    "isoflop": "isoflops",
    "load": "storage",
    "load_pooled": "pooled",
    "monitor": "monitoring",
    "outliers": "outlying",
    "point_estimate": "estimation",
    "predict": "prediction",
    "predict_error": "downstream",
    "published": "publications",
    "region": "plans",
    "simulate": "simulation",
    "speedup": "speedups",
    "thresholded": "emergence",
    "what_if": "plans",
    "widen": "widening",
}
_MODULES = ("datasets", "drift", "laws", "plots", "priors", "units")

__all__ = [
    "Allocation",
    "Architecture",
    "Assessment",
    "Backtest",
    "BayescaleError",
    "Bootstrap",
    "Calibration",
    "Comparison",
    "Cost",
    "Design",
    "DesignError",
    "Diagnostics",
    "Effects",
    "ErrorPrediction",
    "FailedFitError",
    "Identifiability",
    "Influence",
    "InputError",
    "Interval",
    "IsoFlop",
    "ManyFits",
    "MetricComparison",
    "Mixture",
    "Monitoring",
    "Outliers",
    "PointEstimate",
    "PooledFit",
    "Posterior",
    "Prediction",
    "PublishedFit",
    "Region",
    "Runs",
    "Simulation",
    "Speedup",
    "Verdict",
    "allocate",
    "backtest",
    "bootstrap",
    "calibrate",
    "check_law",
    "compare",
    "compare_metrics",
    "datasets",
    "design",
    "drift",
    "fit",
    "fit_many",
    "fit_pooled",
    "identify",
    "influence",
    "isoflop",
    "laws",
    "load",
    "load_pooled",
    "monitor",
    "outliers",
    "plots",
    "point_estimate",
    "predict",
    "predict_error",
    "priors",
    "published",
    "region",
    "simulate",
    "speedup",
    "thresholded",
    "units",
    "what_if",
    "widen",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"bayescale.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"bayescale.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'bayescale' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
