"""What the README says of the package is so."""

import importlib.util
import re
from pathlib import Path

import pytest

from bayescale.runs import ROLES

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def page():
    return (ROOT / "README.md").read_text()


def test_the_table_of_laws_is_current(page):
    spec = importlib.util.spec_from_file_location(
        "update_readme", ROOT / "benchmarks/update_readme.py"
    )
    update = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update)
    assert update.renewed(page, "laws") == page


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
