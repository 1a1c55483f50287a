"""The loss of runs that were not made: the law's mean, and what a new run would show."""

from bayescale.prediction.points import checked_points, decades_beyond, in_domain, positive
from bayescale.prediction.predicted import Kind, Prediction, decades, what_stands
from bayescale.prediction.predicting import (
    law_loss,
    log_predictive_density,
    mean_loss,
    predict,
    shares_of,
    sound_forecasters,
)

__all__ = [
    "Kind",
    "Prediction",
    "checked_points",
    "decades",
    "decades_beyond",
    "in_domain",
    "law_loss",
    "log_predictive_density",
    "mean_loss",
    "positive",
    "predict",
    "shares_of",
    "sound_forecasters",
    "what_stands",
]
