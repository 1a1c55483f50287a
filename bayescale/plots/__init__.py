"""Figures, a module each: axes in, axes out, and nothing global touched."""

from bayescale.plots.backtest_outcomes import plot_backtest
from bayescale.plots.budget_curves import plot_budgets
from bayescale.plots.chain_ranks import plot_ranks
from bayescale.plots.compared_laws import plot_comparison
from bayescale.plots.compute_gain import plot_speedup
from bayescale.plots.designed_runs import plot_design
from bayescale.plots.gallery import save_plot, save_plots
from bayescale.plots.groups_and_population import plot_groups
from bayescale.plots.isoflop_parabolas import plot_isoflop
from bayescale.plots.loss_and_compute import plot_loss
from bayescale.plots.near_best_splits import plot_region
from bayescale.plots.optimal_allocation import plot_allocation
from bayescale.plots.outlying_runs import plot_outliers
from bayescale.plots.prior_and_posterior import plot_prior_posterior
from bayescale.plots.prior_shares import plot_identifiability
from bayescale.plots.rank_distributions import plot_calibration
from bayescale.plots.run_under_way import plot_monitoring
from bayescale.plots.runs_and_fit import plot_runs

__all__ = [
    "plot_allocation",
    "plot_backtest",
    "plot_budgets",
    "plot_calibration",
    "plot_comparison",
    "plot_design",
    "plot_groups",
    "plot_identifiability",
    "plot_isoflop",
    "plot_loss",
    "plot_monitoring",
    "plot_outliers",
    "plot_prior_posterior",
    "plot_ranks",
    "plot_region",
    "plot_runs",
    "plot_speedup",
    "save_plot",
    "save_plots",
]
