"""A byte-level decoder transformer in plain JAX: RMS norm, rotary positions, tied embedding, no biases."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

VOCABULARY = 128  # ASCII


class Shape(NamedTuple):
    """Width and number of layers. Heads are 32 wide or a little wider."""

    width: int
    layers: int

    @property
    def heads(self) -> int:
        """Number of attention heads, each of an even width."""
        return max(1, self.width // 32)

    @property
    def params_no_emb(self) -> int:
        """Weights of the blocks and norms."""
        return self.layers * (12 * self.width**2 + 2 * self.width) + self.width

    @property
    def params(self) -> int:
        """All weights; the tied embedding, which is also the output layer, counts once."""
        return self.params_no_emb + VOCABULARY * self.width


def init(key: jax.Array, shape: Shape) -> dict[str, jax.Array]:
    """Normal weights with variance 1 / fan-in; what writes into the residual stream starts at zero."""
    d, layers = shape
    k = jax.random.split(key, 3)
    return {
        "embed": jax.random.normal(k[0], (VOCABULARY, d)) * d**-0.5,
        "qkv": jax.random.normal(k[1], (layers, d, 3 * d)) * d**-0.5,
        "out": jnp.zeros((layers, d, d)),
        "up": jax.random.normal(k[2], (layers, d, 4 * d)) * d**-0.5,
        "down": jnp.zeros((layers, 4 * d, d)),
        "norm_attention": jnp.ones((layers, d)),
        "norm_mlp": jnp.ones((layers, d)),
        "norm_final": jnp.ones(d),
    }


def _norm(x, scale):
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6) * scale


def _rotate(x):
    """Rotary position embedding; x has shape (batch, time, heads, head width)."""
    half = x.shape[-1] // 2
    frequency = 10_000.0 ** (-jnp.arange(half) / half)
    angle = jnp.arange(x.shape[1])[:, None] * frequency
    cos, sin = jnp.cos(angle)[:, None, :], jnp.sin(angle)[:, None, :]
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def _attention(x, qkv, out):
    batch, time, d = x.shape
    heads = Shape(d, 0).heads
    q, k, v = jnp.split((x @ qkv).reshape(batch, time, 3 * heads, d // heads), 3, axis=2)
    scores = jnp.einsum("bqhc,bkhc->bhqk", _rotate(q), _rotate(k)) * (d // heads) ** -0.5
    causal = jnp.tril(jnp.ones((time, time), bool))
    weights = jax.nn.softmax(jnp.where(causal, scores, -1e30), axis=-1)
    return jnp.einsum("bhqk,bkhc->bqhc", weights, v).reshape(batch, time, d) @ out


def loss(weights: dict[str, jax.Array], windows: jax.Array) -> jax.Array:
    """Mean cross-entropy in nats per byte; windows has shape (batch, time + 1) of byte values."""
    x = weights["embed"][windows[:, :-1]] * weights["embed"].shape[1] ** 0.5
    for layer in range(weights["qkv"].shape[0]):
        normed = _norm(x, weights["norm_attention"][layer])
        x = x + _attention(normed, weights["qkv"][layer], weights["out"][layer])
        hidden = jax.nn.gelu(_norm(x, weights["norm_mlp"][layer]) @ weights["up"][layer])
        x = x + hidden @ weights["down"][layer]
    logits = _norm(x, weights["norm_final"]) @ weights["embed"].T
    target = windows[:, 1:, None]
    return jnp.mean(jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, target, -1)[..., 0])
