"""Parameters and FLOPs of an architecture: published counts, matrix by matrix, and what is refused."""

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

import bayescale
from bayescale import Architecture, InputError
from bayescale.cli.main import app
from conftest import synthetic_posterior

SMALL = {
    "layers": 4,
    "d_model": 96,
    "heads": 6,
    "d_ff": 200,
    "vocabulary": 1000,
    "sequence_length": 64,
}


@pytest.fixture(scope="module")
def posterior(runs):
    return synthetic_posterior(runs)


def test_counts_of_gemstones(public_data):
    """McLeish et al. 2025, arXiv:2502.06857: 22 models by width and depth, with all their parameters."""
    import pandas

    models = pandas.read_csv(public_data / "gemstones.csv")[["width", "depth", "params"]]
    models = models.drop_duplicates()
    assert len(models) == 22
    for width, depth, params in models.itertuples(index=False):
        heads = int(width) // 128
        shape = Architecture(
            layers=depth, d_model=width, heads=heads, kv_heads=max(1, heads // 2), d_ff=4 * width,
            vocabulary=50304, sequence_length=2048, gated=True,
        )  # fmt: skip
        norms = (2 * depth + 1) * width  # the gains, which are not counted
        assert shape.parameters + norms == params


def test_counts_of_porian(public_data):
    """Porian et al. 2024, arXiv:2406.19146: three ways to count, one with the FLOPs of attention."""
    import pandas

    table = pandas.read_csv(public_data / "porian.csv")
    counts = {
        name: sorted(table[table.param_count == name].params.unique())
        for name in ("kaplan", "standard", "attention")
    }
    assert [len(found) for found in counts.values()] == [16, 16, 16]
    predicted = {name: [] for name in counts}
    for layers, width in shapes_of(counts["kaplan"], counts["standard"]):
        shape = Architecture(
            layers=layers, d_model=width, heads=1, d_ff=feed_forward(width), gated=True, causal=True,
            vocabulary=50432, sequence_length=2048,
        )  # fmt: skip
        predicted["kaplan"].append(shape.non_embedding_parameters)
        predicted["standard"].append(shape.non_embedding_parameters + shape.embedding_parameters)
        predicted["attention"].append(shape.flops_per_token / 6)
    for name, found in counts.items():
        np.testing.assert_allclose(sorted(predicted[name]), found, rtol=1e-12)


def feed_forward(width):
    """Two thirds of four times the width, up to a multiple of 256: open_lm's gated feed-forward."""
    return 256 * math.ceil(int(8 * width / 3) / 256)


def shapes_of(kaplan, standard):
    """Layers and width of the models: what lies between two counts is the head."""
    for count in kaplan:
        widths = [(s - count) / 50432 for s in standard]
        fitting = [
            (count / (w * (4 * w + 3 * feed_forward(w))), w)
            for w in widths
            if w > 0 and w % 32 == 0
        ]
        layers, width = next((n, w) for n, w in fitting if n == int(n) and n > 1)
        yield int(layers), int(width)


@pytest.mark.parametrize(
    "more",
    [{}, {"gated": True}, {"kv_heads": 2}, {"head_size": 32, "tied": True}, {"causal": True}],
)
def test_flops_matrix_by_matrix(more):
    """Every product of one sequence, forward and backward, by the shapes of its matrices."""
    shape = Architecture(**SMALL, **more)
    s, d, heads, f, V = (
        SMALL[n] for n in ("sequence_length", "d_model", "heads", "d_ff", "vocabulary")
    )
    size = more.get("head_size", d // heads)
    keys = more.get("kv_heads", heads)
    matrices = [
        (d, heads * size),
        (d, keys * size),
        (d, keys * size),
        (heads * size, d),
        (d, f),
        (f, d),
    ]
    matrices += [(d, f)] if more.get("gated") else []
    weights = sum(a * b for a, b in matrices) * SMALL["layers"]
    forward = 2 * s * (weights + d * V)
    seen = s * s / (2 if more.get("causal") else 1)
    forward += SMALL["layers"] * heads * 2 * (2 * seen * size)  # q k and a v
    assert shape.non_embedding_parameters == weights
    assert shape.parameters == weights + (1 if more.get("tied") else 2) * d * V
    assert shape.flops_per_token == pytest.approx(3 * forward / s, rel=1e-14)


def test_against_appendix_f_line_by_line():
    """Hoffmann et al. 2022 also count the look-up as a product, and the softmax."""
    shape = Architecture(**SMALL)
    s, d, h, f, V = (
        SMALL[n] for n in ("sequence_length", "d_model", "heads", "d_ff", "vocabulary")
    )
    embeddings, logits = 2 * s * V * d, 2 * s * d * V
    attention = 2 * 3 * s * d * d + 2 * s * s * d + 3 * h * s * s + 2 * s * s * d + 2 * s * d * d
    dense = 2 * s * (d * f + d * f)
    theirs = 3 * (embeddings + SMALL["layers"] * (attention + dense) + logits)
    not_counted = 3 * (embeddings + SMALL["layers"] * 3 * h * s * s)
    assert s * shape.flops_per_token == pytest.approx(theirs - not_counted, rel=1e-14)


def test_against_kaplan_table_1():
    """Kaplan et al. 2020: N = 2 d l (2 d + d_ff), and 2 N + 2 l s d forward, without the logits."""
    shape = Architecture(**SMALL, causal=True)
    n, d, s = SMALL["layers"], SMALL["d_model"], SMALL["sequence_length"]
    N = 2 * d * n * (2 * d + SMALL["d_ff"])
    assert shape.non_embedding_parameters == N
    logits = 6 * d * SMALL["vocabulary"]
    assert shape.flops_per_token - logits == pytest.approx(3 * (2 * N + 2 * n * s * d), rel=1e-14)


def test_a_short_sequence_of_a_large_model_is_6nd():
    shape = Architecture(layers=80, d_model=8192, heads=64, d_ff=4 * 8192, vocabulary=1000,
                         sequence_length=16, tied=True)  # fmt: skip
    assert shape.flops_per_parameter_token() == pytest.approx(6.0, rel=1e-3)


def test_a_plan_counts_the_flops_of_its_shape(posterior):
    shape = Architecture(layers=32, d_model=4096, heads=32, kv_heads=8, d_ff=14336, gated=True,
                         vocabulary=128256, sequence_length=8192)  # fmt: skip
    plan = bayescale.what_if(posterior, D=1e12, architecture=shape)
    assert (plan.N, pytest.approx(shape.flops_per_token * 1e12)) == (shape.parameters, plan.C)
    N = shape.non_embedding_parameters
    other = bayescale.what_if(posterior, N, 1e12, architecture=shape)
    assert (other.N, pytest.approx(plan.C)) == (N, other.C)
    assert plan.to_json()["architecture"]["flops_per_token"] == shape.flops_per_token
    k = plan.to_json()["flops_per_parameter_token"]
    best = bayescale.allocate(posterior, plan.C, flops_per_parameter_token=k)
    assert plan.best["N"] == best.intervals["N"][0]
    with pytest.raises(InputError, match="both are given; the one follows"):
        bayescale.what_if(posterior, D=1e12, architecture=shape, flops_per_parameter_token=6)
    with pytest.raises(InputError, match="N, architecture: N is 7e10, and the architecture has"):
        bayescale.what_if(posterior, 70e9, 1e12, architecture=shape)
    with pytest.raises(InputError, match="N, D: N is missing"):
        bayescale.what_if(posterior, D=1e12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layer": 4}, "'layer' is no part of one; did you mean 'layers'"),
        (
            {"layers": 4, "d_model": 96},
            "architecture: without heads, d_ff, vocabulary, sequence_length; FLOPs",
        ),
        (SMALL | {"layers": 0}, "architecture, layers: it is 0; it is a whole number, 1 or more"),
        (SMALL | {"layers": 2.5}, "layers: it is 2.5"),
        (SMALL | {"d_ff": math.nan}, "d_ff: it is nan"),
        (SMALL | {"d_ff": math.inf}, "d_ff: it is inf"),
        (SMALL | {"gated": 2}, "gated: it is 2"),
        (SMALL | {"heads": 7}, "heads: it is 7; they do not divide d_model = 96. Give head_size"),
        (SMALL | {"kv_heads": 4}, "kv_heads: it is 4; they do not divide heads = 6"),
    ],
)
def test_bad_shapes(values, message):
    with pytest.raises(InputError) as error:
        Architecture.of(values)
    assert message in str(error.value)


def test_the_command_line(posterior, tmp_path):
    path = str(posterior.save(tmp_path / "fit.nc"))
    shape = ",".join(f"{name}={value}" for name, value in SMALL.items())

    def call(*words):
        return CliRunner().invoke(app, [words[0], path, *words[1:]], catch_exceptions=False)

    done = call("what-if", "--tokens", "1e12", "--architecture", f"{shape},gated=1", "--json")
    said = json.loads(done.stdout)
    mine = Architecture(**SMALL, gated=True)
    assert said["C"] == pytest.approx(mine.flops_per_token * 1e12)
    assert said["architecture"]["parameters"] == said["N"] == mine.parameters
    k = json.loads(call("allocate", "--flops", "1e21", "--architecture", shape, "--json").stdout)
    assert k["flops_per_parameter_token"] == Architecture(**SMALL).flops_per_parameter_token()
    for words, message in (
        (["allocate", "--flops", "1e21", "--architecture", f"{shape},experts=8"], "'experts' is no part"),
        (["allocate", "--flops", "1e21", "--architecture", "layers"], "'layers' is not NAME=NUMBER"),
        (["region", "--flops", "1e21", "--architecture", shape, "--flops-per-parameter-token", "6"],
         "both are given"),
        (["what-if", "--tokens", "1e12"], "the plan needs --tokens, and --params or --architecture"),
    ):  # fmt: skip
        with pytest.raises(InputError) as error:
            call(*words)
        assert message in str(error.value)
