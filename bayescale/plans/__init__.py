"""Plans: what one would show, cost and lose against the best, and which lose little."""

from bayescale.plans.assessment import Assessment, what_if
from bayescale.plans.costs import Cost
from bayescale.plans.near_best import Region, region

__all__ = ["Assessment", "Cost", "Region", "region", "what_if"]
