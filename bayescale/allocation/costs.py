"""What FLOPs cost: hours of devices, and money, by a stated model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.errors import InputError, Problem
from bayescale.prediction import positive
from bayescale.tables import Column, number

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
    >>> f"{cost.flops_of_hours(1e6):.3g} FLOPs"
    '1.42e+24 FLOPs'
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
        """Return the device-hours that some FLOPs take."""
        return np.asarray(flops, dtype=np.float64) / (HOUR * self.peak_flops * self.utilisation)

    def money(self, flops: ArrayLike) -> NDArray[np.float64]:
        """Return what they cost."""
        return self.hours(flops) * self.price

    def flops_of_hours(self, hours: ArrayLike) -> NDArray[np.float64]:
        """Return the FLOPs that are done in device-hours.

        Raises
        ------
        InputError
            Hours that are not above 0.
        """
        given = positive("hours", hours).reshape(np.shape(hours))
        return given * (HOUR * self.peak_flops * self.utilisation)

    def flops(self, money: ArrayLike) -> NDArray[np.float64]:
        """Return the FLOPs that money pays for.

        Raises
        ------
        InputError
            Without a price, none can be said; or money that is not above 0.
        """
        if not self.price:
            raise InputError(
                Problem("price", "it is 0", "money pays for any number of FLOPs", "give a price")
            )
        given = positive("money", money).reshape(np.shape(money))
        return self.flops_of_hours(given / self.price)

    def words(self, flops: float) -> str:
        """Return what some FLOPs cost, for a caption."""
        money = (
            f" or {number(float(f'{self.money(flops):.3g}'))} {self.currency}" if self.price else ""
        )
        return f"{number(float(f'{self.hours(flops):.3g}'))} device-hours{money}"

    @property
    def heads(self) -> tuple[Column, ...]:
        """Heads of the columns of a table that the amounts fill."""
        money = (Column(f"money ({self.currency})"),) if self.price else ()
        return (Column("device-hours"), *money)

    @property
    def factors(self) -> dict[str, float]:
        """``"device_hours"`` of a FLOP, and ``"money"`` if there is a price."""
        money = {"money": float(self.money(1.0))} if self.price else {}
        return {"device_hours": float(self.hours(1.0)), **money}

    def to_json(self, flops: float | None = None) -> dict[str, Any]:
        """Return the model as plain data, with hours and money of some FLOPs if they are given."""
        model: dict[str, Any] = {"peak_flops": self.peak_flops, "utilisation": self.utilisation}
        if self.price:
            model |= {"price": self.price, "currency": self.currency}
        if flops is None:
            return model
        return {**{name: flops * factor for name, factor in self.factors.items()}, **model}
