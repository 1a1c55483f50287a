"""Simulation-based calibration: ranks of known truths, drawn from the prior or from a posterior."""

from bayescale.calibration.posterior import calibrate
from bayescale.calibration.prior import calibrate_prior
from bayescale.calibration.result import Calibration

__all__ = ["Calibration", "calibrate", "calibrate_prior"]
