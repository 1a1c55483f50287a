"""The lowest loss of a recipe at any compute, draw by draw, and the least compute for a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bayescale.allocation.minimising import root
from bayescale.allocation.splitting import Numbers, Terms, best_split, loss_at, reaching
from bayescale.laws import Law
from bayescale.mixture import pooled

Floats = NDArray[np.float64]
BLOCK = 1000  # draws at scales that a program works on at once
LEAST, MOST = -60.0, 160.0  # of the logarithm of an input of a law of one variable, and of compute


class Way(NamedTuple):
    """How compute becomes a point of a law; static in compiled programs.

    ``"closed"`` and ``"search"``: the law's own best split of C; ``"ratio"``: D is a multiple of N;
    ``"one"``: the law is one of this input alone.
    """

    kind: Literal["closed", "search", "ratio", "one"]
    symbol: str = "C"


@dataclass(frozen=True)
class Member:
    """Draws of one law of a fit, and how compute becomes a point of it.

    Parameters
    ----------
    law
        Every field of shape (draws,).
    share
        Of the draws of the fit.
    way, terms, ratio
        How compute becomes a point; D/N for a way of that kind.
    """

    law: Law
    share: float
    way: Way
    terms: Terms
    ratio: float = 1.0

    @property
    def count(self) -> int:
        """Number of draws."""
        return len(jax.tree.leaves(self.law)[0])

    def taken(self, rows: NDArray[np.intp]) -> Member:
        """Return the member with these draws."""
        law = jax.tree.map(lambda field: np.asarray(field)[rows], self.law)
        return Member(law, self.share, self.way, self.terms, self.ratio)

    def losses(self, scale: Floats) -> Floats:
        """Return the loss of each draw at its own scales, shape (draws, scales)."""
        return self._in_blocks(_losses, scale)

    def needed(self, losses: Floats) -> Floats:
        """Return the least scale at which each draw has its own losses; infinite if at none."""
        if self.way.kind != "search":
            return self._in_blocks(_needed, losses)
        return self._in_blocks(None, losses)

    def _in_blocks(self, program: Any, values: Floats) -> Floats:
        """Run a program on blocks of one size, so that it is compiled once for a law."""
        n, flat = self.terms.numbers, values.ravel()
        row = np.repeat(np.arange(self.count), values.shape[1])
        found = np.empty(len(flat))
        with jax.enable_x64(True):
            for start in range(0, len(flat), BLOCK):
                place = np.arange(start, start + BLOCK) % len(flat)  # the last one begins anew
                law = jax.tree.map(lambda field, rows=row[place]: field[rows], self.law)
                if program is None:
                    block = reaching(law, flat[place, None], self.terms)[2][:, 0]
                else:
                    block = np.asarray(program(law, flat[place], n, self.ratio, self.way))
                found[start : start + BLOCK] = block[: len(flat) - start]
        return found.reshape(values.shape)


@dataclass(frozen=True)
class Frontier:
    """The lowest losses of a recipe: draws of one law or of several, in an order of their own.

    Parameters
    ----------
    members
        The laws, each with the draws that are taken of it.
    rows
        Places of each member's draws among all, one array a member.
    """

    members: tuple[Member, ...]
    rows: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, members: Sequence[Member]) -> Frontier:
        """Return all draws, each member with its share, in their order."""
        shares = [member.share for member in members]
        index = [np.arange(member.count) for member in members]
        labels = [np.full(len(rows), i) for i, rows in enumerate(index)]
        return cls._of(members, pooled(labels, shares), pooled(index, shares))

    @classmethod
    def _of(cls, members: Sequence[Member], label: Any, row: Any) -> Frontier:
        places = [np.flatnonzero(label == i) for i in range(len(members))]
        taken = zip(members, places, strict=True)
        return cls(tuple(member.taken(row[place]) for member, place in taken), tuple(places))

    def __len__(self) -> int:
        return sum(map(len, self.rows))

    def ordered(self, order: NDArray[np.intp]) -> Frontier:
        """Return the draws in another order; one may be taken several times."""
        label, row = np.empty(len(self), np.intp), np.empty(len(self), np.intp)
        for i, places in enumerate(self.rows):
            label[places], row[places] = i, np.arange(len(places))
        return self._of(self.members, label[order], row[order])

    def losses(self, scale: Floats) -> Floats:
        """Return the loss of each draw at its own scales, or at those of all; (draws, scales)."""
        return self._each(Member.losses, np.broadcast_to(scale, (len(self), np.shape(scale)[-1])))

    def needed(self, losses: Floats) -> Floats:
        """Return the least scale for each draw's own losses, shape (draws, losses)."""
        return self._each(Member.needed, losses)

    def _each(self, what: Any, values: Floats) -> Floats:
        found = np.empty(values.shape)
        for member, places in zip(self.members, self.rows, strict=True):
            if len(places):
                found[places] = what(member, values[places])
        return found


def loss_along(law: Law, log_scale: Any, n: Numbers, ratio: Any, way: Way) -> Any:
    """Return the loss of one law at one scale, in a program."""
    if way.kind == "one":
        return law.loss({**n.at, way.symbol: jnp.exp(log_scale)})
    if way.kind == "ratio":
        log_n = 0.5 * (log_scale - jnp.log(n.k * ratio))
        return loss_at(law, log_n, log_n + jnp.log(ratio), n.at)
    return best_split(law, jnp.exp(log_scale), n, way.kind == "closed")[2]


@partial(jax.jit, static_argnames="way")
def _losses(law: Any, scale: Any, n: Numbers, ratio: Any, way: Way) -> Any:
    def one(law: Any, scale: Any) -> Any:
        return loss_along(law, jnp.log(scale), n, ratio, way)

    return jax.vmap(one)(law, scale)


@partial(jax.jit, static_argnames="way")
def _needed(law: Any, losses: Any, n: Numbers, ratio: Any, way: Way) -> Any:
    low = LEAST if way.kind == "one" else jnp.log(n.k) + 1e-9  # one token through one parameter

    def one(law: Any, target: Any) -> Any:
        def short(log_scale: Any) -> Any:
            return target - loss_along(law, log_scale, n, ratio, way)

        log_scale, _ = root(short, low, MOST)
        return jnp.where(short(MOST) > 0, jnp.exp(log_scale), jnp.inf)

    return jax.vmap(one)(law, losses)
