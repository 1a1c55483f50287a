"""The shape of the package, read from its sources: imports run one way, and names are true."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bayescale

ROOT = Path(bayescale.__file__).parent

# Imports run downwards in this order only; those on one line do not import each other.
ORDER = [
    ("errors",),
    ("units",),
    ("intervals",),
    ("tables",),
    ("cache",),
    ("convergence",),
    ("cholesky", "conditioning"),
    ("contraction", "misfit"),
    ("priors",),
    ("parameters",),
    ("runs", "laws", "noise"),
    ("drift", "ornstein_uhlenbeck"),
    ("effects", "rules"),
    ("model",),
    ("centred",),
    ("uninformed",),
    ("population",),
    ("datasets",),
    ("diagnostics",),
    ("inference",),
    ("posterior",),
    ("mixture", "new_runs"),
    ("publications",),
    ("storage",),
    ("pooled",),
    ("arviz_tree",),
    ("fitting",),
    ("law_checks",),
    ("pooling",),
    ("estimation",),
    ("prediction",),
    ("downstream",),
    ("allocation", "outlying", "emergence", "monitoring"),
    ("identifiability", "isoflops", "plans", "speedups"),
    ("simulation",),
    ("sweep",),
    ("designing",),
    ("backtesting",),
    ("resampling", "leaving_out", "calibration", "widening"),
    ("comparison",),
    ("plots",),
    ("cli",),
    ("__main__",),
]
RANK = {unit: rank for rank, units in enumerate(ORDER) for unit in units}
# Methods that only pass on to a function below: they import it when they are called.
UPWARDS = {("posterior", "storage"), ("posterior", "arviz_tree"), ("mixture", "storage")}
MAY_INFER = {
    "inference", "fitting", "pooling", "estimation", "backtesting", "sweep", "resampling", "leaving_out",
    "calibration", "comparison",
}  # fmt: skip

SOURCES = {
    path.relative_to(ROOT).with_suffix("").as_posix(): ast.parse(path.read_text("utf-8"))
    for path in sorted(ROOT.rglob("*.py"))
}
FILES = [name for name in SOURCES if name != "__init__"]


def unit(name):
    """The part of the package that a file belongs to."""
    return name.partition("/")[0]


def imported(tree):
    """Dotted names of all imports, wherever they stand; ``from a import b`` is a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(tree):
    """The parts of the package that a tree imports."""
    names = (name.split(".") for name in imported(tree))
    return {name[1] for name in names if name[0] == "bayescale"}


def test_every_part_has_its_place_in_the_order():
    assert {unit(name) for name in FILES} == set(RANK)


@pytest.mark.parametrize("name", FILES)
def test_imports_run_downwards(name):
    here = unit(name)
    wrong = [
        there
        for there in own(SOURCES[name]) - {here}
        if RANK[there] >= RANK[here] and (here, there) not in UPWARDS
    ]
    assert not wrong, f"{name} imports {wrong}"


def test_upward_imports_are_lazy_and_needed():
    for here, there in UPWARDS:
        module = SOURCES[here]
        functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
        inside = sum(there in own(function) for function in functions)
        everywhere = [n for n in imported(module) if n.startswith(f"bayescale.{there}.")]
        assert inside == len(everywhere) == 1, (here, there)


@pytest.mark.parametrize("name", FILES)
def test_only_inference_imports_numpyro(name):
    found = [n for n in imported(SOURCES[name]) if n.startswith("numpyro")]
    assert not found or unit(name) == "inference"


@pytest.mark.parametrize("name", FILES)
def test_a_posterior_may_come_from_anywhere(name):
    assert "inference" not in own(SOURCES[name]) or unit(name) in MAY_INFER


@pytest.mark.parametrize("name", SOURCES)
def test_private_names_of_others_are_left_alone(name):
    tree = SOURCES[name]
    parts = [part for dotted in imported(tree) for part in dotted.split(".")]
    assert not [p for p in parts if p.startswith("_") and not p.startswith("__")]
    modules = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    reached = [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id in modules and node.attr.startswith("_") and not node.attr.endswith("__")
    ]
    assert not reached


@pytest.mark.parametrize("name", SOURCES)
def test_no_pickle(name):
    tree = SOURCES[name]
    words = [
        *(part for dotted in imported(tree) for part in dotted.split(".")),
        *(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)),
        *(node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg),
        *(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)),
    ]
    forbidden = ("pickle", "joblib", "shelve", "marshal", "dill")
    assert not [w for w in words if any(bad in w.lower() for bad in forbidden)]


def test_public_names():
    assert bayescale.__all__ == sorted(set(bayescale.__all__))
    assert dir(bayescale) == bayescale.__all__
    for name in bayescale.__all__:
        assert getattr(bayescale, name).__doc__, name
    with pytest.raises(AttributeError, match=r"module 'bayescale' has no attribute 'fitt'"):
        bayescale.fitt  # noqa: B018


def test_type_checkers_see_the_same_names():
    names = [n for n in imported(SOURCES["__init__"]) if n.startswith("bayescale.")]
    assert sorted(n.rpartition(".")[2] for n in names) == bayescale.__all__
    for dotted in names:
        home, _, name = dotted.rpartition(".")
        if home != "bayescale":
            assert getattr(bayescale, name) is getattr(sys.modules[home], name)


def in_a_new_process(code, **environment):
    """What a program prints."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "COVERAGE_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


LOADED = "import sys; print(*{m.partition('.')[0] for m in sys.modules})"
PLOTTING = {"matplotlib", "arviz", "arviz_base", "arviz_plots", "arviz_stats", "xarray"}


def test_importing_the_package_loads_next_to_nothing():
    loaded = in_a_new_process(f"import bayescale; {LOADED}")
    assert not {*PLOTTING, "jax", "numpyro", "scipy", "numpy"} & set(loaded)


@pytest.mark.parametrize("setting", ["0", "1"])
def test_the_package_leaves_64_bits_as_they_are(setting):
    code = "import bayescale, jax; print(jax.config.jax_enable_x64)"
    assert in_a_new_process(code, JAX_ENABLE_X64=setting) == [str(setting == "1")]


def test_using_all_names_loads_no_plotting_and_changes_no_setting():
    code = (
        "import bayescale; [getattr(bayescale, name) for name in bayescale.__all__]; import jax; "
        f"print(jax.config.jax_enable_x64, jax.config.jax_compilation_cache_dir); {LOADED}"
    )
    bits, cache, *loaded = in_a_new_process(code)
    assert (bits, cache) == ("False", "None")
    assert not PLOTTING & set(loaded)


def test_the_command_line_starts_without_jax():
    loaded = in_a_new_process(f"import bayescale.cli.main; {LOADED}")
    heavy = {"jax", "jaxlib", "numpyro", "equinox", "numpy", "scipy", "pandas", "pyarrow"}
    assert not (heavy | PLOTTING) & set(loaded)
