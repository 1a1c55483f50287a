"""Runs: read, check and describe tables of training runs."""

from bayescale.runs.catalogue import ROLES
from bayescale.runs.checks import CHECKS, check_design
from bayescale.runs.describe import Description
from bayescale.runs.groups import GroupedRuns, group_runs
from bayescale.runs.table import Runs, read_points

__all__ = [
    "CHECKS",
    "ROLES",
    "Description",
    "GroupedRuns",
    "Runs",
    "check_design",
    "group_runs",
    "read_points",
]
