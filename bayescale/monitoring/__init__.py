"""A run that is not done yet: is it on its forecast curve, and where will it end."""

from bayescale.monitoring.monitoring import monitor
from bayescale.monitoring.under_way import Monitoring

__all__ = ["Monitoring", "monitor"]
