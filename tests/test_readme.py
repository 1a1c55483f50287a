"""What the README says of the package is so."""

import importlib
import re
from pathlib import Path

import pytest

from bayescale.runs import ROLES

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def page():
    return (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["laws", "inputs"])
def test_tables_that_the_package_prints_are_current(monkeypatch, name):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    pages, update = (importlib.import_module(module) for module in ("pages", "update_readme"))
    assert pages.block(update.README, name) == update.BLOCKS[name]()


def test_the_roles_are_all_named(page):
    for role in ROLES:
        assert f"`{role}`" in page


def test_commands_and_names_exist(page):
    import bayescale
    from bayescale.cli.main import app

    commands = {command.name for command in app.registered_commands}
    assert set(re.findall(r"^ +bayescale ([\w-]+)", page, re.MULTILINE)) <= commands
    names = set(re.findall(r"\bbs\.(\w+)", page))
    assert names <= set(bayescale.__all__)
