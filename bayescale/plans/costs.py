"""What FLOPs cost: hours of devices, and money, by a stated model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem

HOUR = 3600.0  # seconds


@dataclass(frozen=True)
class Cost:
    r"""A model of the cost of training: the FLOPs that a device does in an hour, and its price.

    .. math:: \mathrm{hours} = \frac{C}{3600\, p\, u}, \qquad
              \mathrm{money} = \mathrm{hours} \times \mathrm{price}

    Parameters
    ----------
    peak_flops
        p, FLOPs that a device does in a second at most, above 0: 989e12 for an H100 in bfloat16.
    utilisation
        u, the share of them that training makes use of, above 0 and at most 1.
    price
        Of a device for an hour, 0 or more; 0 if money is of no interest.
    currency
        What the price is in.

    Raises
    ------
    InputError
        A number out of range.

    Examples
    --------
    >>> cost = Cost(peak_flops=989e12, utilisation=0.4, price=2.0)
    >>> f"{cost.money(1e23):.3g} USD"
    '1.4e+05 USD'
    """

    peak_flops: float
    utilisation: float = 0.4
    price: float = 0.0
    currency: str = "USD"

    def __post_init__(self) -> None:
        limits = (
            ("peak_flops", self.peak_flops, 0.0 < self.peak_flops < np.inf, "above 0"),
            (
                "utilisation",
                self.utilisation,
                0.0 < self.utilisation <= 1.0,
                "above 0 and at most 1",
            ),
            ("price", self.price, 0.0 <= self.price < np.inf, "0 or more"),
        )
        for name, value, holds, words in limits:
            if not holds:
                raise InputError(Problem(name, f"it is {value:g}", f"it must be {words}"))

    def hours(self, flops: ArrayLike) -> NDArray[np.float64]:
        """Return the device hours that some FLOPs take."""
        return np.asarray(flops, dtype=np.float64) / (HOUR * self.peak_flops * self.utilisation)

    def money(self, flops: ArrayLike) -> NDArray[np.float64]:
        """Return what they cost."""
        return self.hours(flops) * self.price

    def flops(self, money: ArrayLike) -> NDArray[np.float64]:
        """Return the FLOPs that money pays for.

        Raises
        ------
        InputError
            Without a price, none can be said.
        """
        if not self.price:
            raise InputError(
                Problem("price", "it is 0", "money pays for any number of FLOPs", "give a price")
            )
        hours = np.asarray(money, dtype=np.float64) / self.price
        return hours * HOUR * self.peak_flops * self.utilisation

    def to_json(self, flops: float) -> dict[str, Any]:
        """Return hours and money of some FLOPs, with the model, as plain data."""
        found: dict[str, Any] = {
            "device_hours": float(self.hours(flops)),
            "peak_flops": self.peak_flops,
            "utilisation": self.utilisation,
        }
        if self.price:
            found |= {"money": float(self.money(flops)), "currency": self.currency}
        return found
