"""Plans: what one would show and lose against the best, and which lose little."""

from bayescale.plans.assessment import Assessment, what_if
from bayescale.plans.near_best import Region, region

__all__ = ["Assessment", "Region", "region", "what_if"]
