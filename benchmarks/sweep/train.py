"""Train one model of the sweep: AdamW, 10% warm-up, cosine decay to zero exactly at D."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import text
import transformer

BATCH = 16  # windows a step: 1,024 tokens in every run, so that all share one gradient noise
STEPS_A_CALL = 200
OPTIMISER = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.scale_by_adam(b1=0.9, b2=0.98),
    optax.add_decayed_weights(0.01),
)


def schedule(step: jax.Array, steps: jax.Array, learning_rate: jax.Array) -> jax.Array:
    """Linear warm-up over a tenth of the steps, then half a cosine to zero at the last one."""
    warmup = jnp.maximum(1, steps // 10)
    decay = 0.5 * (1 + jnp.cos(jnp.pi * (step - warmup) / (steps - warmup)))
    return learning_rate * jnp.where(step < warmup, (step + 1) / warmup, decay)


@partial(jax.jit, donate_argnums=0)
def run_steps(carry, batches, first, count, steps, learning_rate):
    """Take `count` steps on the first `count` batches; one program for each shape of model."""

    def step(i, carry):
        weights, state = carry
        gradient = jax.grad(transformer.loss)(weights, batches[i])
        update, state = OPTIMISER.update(gradient, state, weights)
        rate = schedule(first + i, steps, learning_rate)
        return jax.tree.map(lambda w, u: w - rate * u, weights, update), state

    return jax.lax.fori_loop(0, count, step, carry)


def train(
    shape: transformer.Shape,
    tokens: float,
    learning_rate: float,
    seed: int,
    windows: np.ndarray,
    held_out: np.ndarray,
) -> dict[str, Any]:
    """Train on `tokens` bytes, each seen once, and return the record of the run."""
    started, cpu = time.perf_counter(), time.process_time()
    steps = round(tokens / (BATCH * text.WINDOW))
    needed = steps * BATCH
    if needed > len(windows):
        raise ValueError(f"{tokens:g} tokens need {needed} windows; the text has {len(windows)}")
    order = np.random.default_rng(seed).permutation(len(windows))[:needed].reshape(steps, BATCH)
    weights = transformer.init(jax.random.key(seed), shape)
    carry = (weights, OPTIMISER.init(weights))
    for first in range(0, steps, STEPS_A_CALL):
        rows = order[first : first + STEPS_A_CALL]
        batches = np.zeros((STEPS_A_CALL, BATCH, text.WINDOW + 1), np.int32)
        batches[: len(rows)] = windows[rows]
        carry = run_steps(carry, batches, first, len(rows), steps, learning_rate)
    evaluate = jax.jit(transformer.loss)
    parts = [float(evaluate(carry[0], p.astype(np.int32))) for p in np.split(held_out, 32)]
    return {
        "width": shape.width,
        "layers": shape.layers,
        "params": shape.params,
        "params_no_emb": shape.params_no_emb,
        "tokens": needed * text.WINDOW,
        "loss": float(np.mean(parts)),
        "seed": seed,
        "learning_rate": learning_rate,
        "wall_seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
    }
