"""The next experiment: which runs narrow an answer most, within a budget of compute."""

from bayescale.designing.designing import design
from bayescale.designing.result import Design

__all__ = ["Design", "design"]
