"""The best split of a budget for one draw of a law, under constraints; and the cheapest way to a loss.

A split is a size N and tokens D. It costs k N D FLOPs to train, and 2 N T to run on T tokens of
inference. `Terms` says what it may be; every answer is along the one line that they leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayescale.allocation.minimising import minimum, root
from bayescale.laws import ClosedFormOptimum, Law
from bayescale.tables import number

Floats = NDArray[np.float64]
INFERENCE_FLOPS = 2.0  # per parameter and token: a forward pass
MOST = 1e40  # of a size or of tokens, where there is no limit


@dataclass(frozen=True)
class Terms:
    """What a split of a budget may be.

    Parameters
    ----------
    flops_per_parameter_token
        k of C = k N D.
    inference_tokens
        T, the tokens that the model is run on: they cost 2 N T of the budget.
    params
        N, if it is fixed.
    max_params, max_tokens
        Limits of N (memory) and of D (unique tokens).
    sizes
        The sizes that there are; all if empty.
    at
        Other inputs of the law, symbol to value.
    """

    flops_per_parameter_token: float = 6.0
    inference_tokens: float = 0.0
    params: float | None = None
    max_params: float | None = None
    max_tokens: float | None = None
    sizes: tuple[float, ...] = ()
    at: tuple[tuple[str, float], ...] = ()

    def cost(self, k: str) -> str:
        """Return what a split costs, in words."""
        return f"{k} N D" if not self.inference_tokens else f"N ({k} D + 2 T)"

    def words(self) -> str:
        """Return the terms in words, for a caption."""
        found = [f"T = {number(self.inference_tokens)}"] if self.inference_tokens else []
        found += [f"N = {number(self.params)}"] if self.params is not None else []
        found += [f"N at most {number(self.max_params)}"] if self.max_params is not None else []
        found += [f"D at most {number(self.max_tokens)}"] if self.max_tokens is not None else []
        found += [f"N among {len(self.sizes)} sizes"] if self.sizes else []
        found += [f"{symbol} = {number(value)}" for symbol, value in self.at]
        return f" ({', '.join(found)})" if found else ""

    def to_json(self) -> dict[str, Any]:
        """Return the terms that were set, as plain data."""
        every: dict[str, Any] = {
            "inference_tokens": self.inference_tokens or None,
            "params": self.params,
            "max_params": self.max_params,
            "max_tokens": self.max_tokens,
            "sizes": list(self.sizes) or None,
            "at": dict(self.at) or None,
        }
        found = {name: value for name, value in every.items() if value is not None}
        return {"terms": found} if found else {}

    @property
    def is_plain(self) -> bool:
        """Whether only the budget binds, so that a closed form of the law holds."""
        return self == Terms(self.flops_per_parameter_token)

    @property
    def numbers(self) -> Numbers:
        """The terms as arguments of a compiled program."""
        fixed = () if self.params is None else (self.params,)
        most = MOST if self.max_params is None else self.max_params
        sizes = [size for size in (fixed or self.sizes) if size <= most]
        return Numbers(
            k=np.float64(self.flops_per_parameter_token),
            T=np.float64(self.inference_tokens),
            most_N=np.float64(most),
            most_D=np.float64(MOST if self.max_tokens is None else self.max_tokens),
            sizes=np.asarray(sizes, dtype=np.float64),
            at={symbol: np.float64(value) for symbol, value in self.at},
        )


class Numbers(NamedTuple):
    """`Terms` as a compiled program sees them."""

    k: Any
    T: Any
    most_N: Any
    most_D: Any
    sizes: Any
    at: Mapping[str, Any]


def size_symbol(inputs: tuple[str, ...]) -> str:
    """Return the input that is the size of a model: N, or the parameters that a token passes."""
    return "N" if "N" in inputs else "N_act"


class Splits(NamedTuple):
    """N, D and loss of best splits, and whether each is an optimum inside all limits: (laws, budgets)."""

    N: Floats
    D: Floats
    loss: Floats
    inside: NDArray[np.bool_]


def best_splits(law: Law, budgets: ArrayLike, terms: Terms, numeric: bool = False) -> Splits:
    """Return the best split of each budget under each law; NaN where a budget pays for none.

    Parameters
    ----------
    law
        Laws of a size and tokens, every field of shape (laws,).
    budgets
        Compute C in FLOPs, shape (budgets,).
    terms
        What a split may be.
    numeric
        Search, even where the law has a closed form.
    """
    with jax.enable_x64(True):
        C = jnp.asarray(budgets, dtype=float)
        closed = has_closed_form(law, terms) and not numeric
        return Splits(*map(np.asarray, _best(law, C, terms.numbers, closed)))


def has_closed_form(law: Law, terms: Terms) -> bool:
    """Whether an optimum of the law is written down: only the budget binds it."""
    return isinstance(law, ClosedFormOptimum) and terms.is_plain


def cheapest_splits(law: Law, losses: ArrayLike, terms: Terms) -> tuple[Floats, Floats, Floats]:
    """Return N, D and total FLOPs of the cheapest split that reaches each loss.

    Each of shape (laws, losses); infinite where no split reaches it.
    """
    with jax.enable_x64(True):
        N, D, C = map(np.asarray, _cheapest(law, jnp.asarray(losses, dtype=float), terms.numbers))
        return N, D, C


def reaching(law: Law, losses: Floats, terms: Terms) -> tuple[Floats, Floats, Floats]:
    """Return what `cheapest_splits` does for losses of each draw's own, shape (laws, losses)."""
    with jax.enable_x64(True):
        each = jnp.asarray(losses, dtype=float)
        N, D, C = map(np.asarray, _each_cheapest(law, each, terms.numbers))
        return N, D, C


def loss_at(law: Law, log_n: Any, log_d: Any, at: Mapping[str, Any]) -> Any:
    """Return the loss at the logarithms of size and tokens."""
    return law.loss({size_symbol(law.inputs): jnp.exp(log_n), "D": jnp.exp(log_d), **at})


def total(n: Numbers, N: Any, D: Any) -> Any:
    """Return the FLOPs of training and inference."""
    return N * (n.k * D + INFERENCE_FLOPS * n.T)


def best_split(
    law: Law, budget: Any, n: Numbers, closed: bool = False
) -> tuple[Any, Any, Any, Any]:
    """Return N, D, loss and whether it is inside all limits, for one law and one budget, in a program."""
    if not closed:
        return (_among_sizes if n.sizes.size else _along_line)(law, budget, n)
    pays = jnp.where(budget >= n.k, 1.0, jnp.nan)  # for one token through one parameter
    N, D = law.optimum(budget * pays, n.k)  # type: ignore[attr-defined]
    return N, D, law.loss({"N": N, "D": D}), jnp.asarray(True)


@partial(jax.jit, static_argnames="closed")
def _best(law: Any, budgets: Any, n: Numbers, closed: bool) -> tuple[Any, ...]:
    one = partial(best_split, n=n, closed=closed)
    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(law, budgets)


def _log_tokens(log_n: Any, budget: Any, n: Numbers) -> Any:
    """Tokens that the budget leaves to a size; minus infinity if it leaves none."""
    left = budget * jnp.exp(-log_n) - INFERENCE_FLOPS * n.T
    paid = jnp.log(jnp.maximum(left, 1e-300) / n.k)
    return jnp.minimum(paid, jnp.log(n.most_D))


def _along_line(law: Any, budget: Any, n: Numbers) -> tuple[Any, ...]:
    per_size = INFERENCE_FLOPS * n.T
    low = jnp.maximum(0.0, jnp.log(budget / (n.k * n.most_D + per_size)))
    high = jnp.minimum(jnp.log(n.most_N), jnp.log(budget / (n.k + per_size)))
    full = low > high  # the limits of N and D are reached together, and the budget is not spent

    def loss(log_n: Any) -> Any:
        return loss_at(law, log_n, _log_tokens(log_n, budget, n), n.at)

    low = jnp.minimum(low, high)
    log_n, inside = minimum(loss, low, high)
    log_n = jnp.where(full, high, log_n)
    log_d = _log_tokens(log_n, budget, n)
    N, D = jnp.exp(log_n), jnp.exp(log_d)
    pays = high >= 0
    nothing = jnp.where(pays, 1.0, jnp.nan)
    return N * nothing, D * nothing, loss_at(law, log_n, log_d, n.at) * nothing, inside & ~full


def _among_sizes(law: Any, budget: Any, n: Numbers) -> tuple[Any, ...]:
    log_n = jnp.log(n.sizes)
    log_d = jax.vmap(lambda size: _log_tokens(size, budget, n))(log_n)
    losses = jax.vmap(lambda size, tokens: loss_at(law, size, tokens, n.at))(log_n, log_d)
    losses = jnp.where(log_d >= 0, losses, jnp.inf)
    best = jnp.argmin(losses)
    pays = jnp.where(jnp.isfinite(losses[best]), 1.0, jnp.nan)
    return n.sizes[best] * pays, jnp.exp(log_d[best]) * pays, losses[best] * pays, pays == 1.0


@jax.jit
def _cheapest(law: Any, losses: Any, n: Numbers) -> tuple[Any, ...]:
    one = partial(_cheapest_one, n=n)
    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(law, losses)


@jax.jit
def _each_cheapest(law: Any, losses: Any, n: Numbers) -> tuple[Any, ...]:
    one = partial(_cheapest_one, n=n)
    return jax.vmap(jax.vmap(one, (None, 0)))(law, losses)


def _cheapest_one(law: Any, loss: Any, n: Numbers) -> tuple[Any, ...]:
    top = jnp.log(n.most_D)

    def tokens(log_n: Any) -> Any:
        """Log of the tokens that reach the loss; differentiable: Newton's steps end the search."""

        def short(log_d: Any) -> Any:
            return loss - loss_at(law, log_n, log_d, n.at)

        log_d, _ = root(short, 0.0, top)
        log_d = jax.lax.stop_gradient(log_d)
        for _ in range(2):
            slope = jax.grad(short)(log_d)
            log_d = log_d - short(log_d) / jnp.where(slope > 0, slope, 1.0)
        return log_d

    def log_cost(log_n: Any) -> Any:
        return jnp.log(total(n, jnp.exp(log_n), jnp.exp(tokens(log_n))))

    if n.sizes.size:
        sizes = jnp.log(n.sizes)
        costs = jax.vmap(log_cost)(sizes)
        reach = jax.vmap(lambda size: loss_at(law, size, top, n.at))(sizes) < loss
        costs = jnp.where(reach, costs, jnp.inf)
        log_n, there = sizes[jnp.argmin(costs)], reach.any()
    else:
        high = jnp.log(n.most_N)
        there = loss_at(law, high, top, n.at) < loss
        least, _ = root(lambda size: loss - loss_at(law, size, top, n.at), 0.0, high)
        log_n, _ = minimum(log_cost, jnp.minimum(least + 1e-9, high), high)
    N, D = jnp.exp(log_n), jnp.exp(tokens(log_n))
    return tuple(jnp.where(there, v, jnp.inf) for v in (N, D, total(n, N, D)))
