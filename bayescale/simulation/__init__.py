"""Training runs made from a law: data sets whose truth is known, or replicas of a fit's own runs."""

from bayescale.simulation.simulated import Simulation
from bayescale.simulation.simulating import simulate

__all__ = ["Simulation", "simulate"]
