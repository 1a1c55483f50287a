"""Forecasts of the larger runs of a table from its cheaper ones, and what they held."""

from bayescale.backtesting.backtested import SHORTFALL, Backtest, Origin
from bayescale.backtesting.backtesting import backtest
from bayescale.backtesting.origins import FRACTIONS, log_size, rolling_origins

__all__ = [
    "FRACTIONS",
    "SHORTFALL",
    "Backtest",
    "Origin",
    "backtest",
    "log_size",
    "rolling_origins",
]
