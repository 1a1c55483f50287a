"""Runs: read, check and describe tables of training runs."""

from bayescale.runs.checks import CHECKS, check_design
from bayescale.runs.describe import Description
from bayescale.runs.roles import ROLES
from bayescale.runs.table import Runs, read_points

__all__ = ["CHECKS", "ROLES", "Description", "Runs", "check_design", "read_points"]
