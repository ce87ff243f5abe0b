"""The scripts that prepare the database parse the pinned releases of Open WebUI correctly, and import them only if needed."""

import ast
from pathlib import Path

import pytest

from components import prepare
from tests.releases.releases import OPEN_WEBUI_VERSIONS, open_webui_source

pytestmark = pytest.mark.timeout(300)  # the first run downloads


@pytest.mark.parametrize("version", OPEN_WEBUI_VERSIONS)
def test_the_revisions_are_one_chain(version: str, tmp_path: Path) -> None:
    package = open_webui_source(version, tmp_path)
    release = prepare.revisions(package)
    assert len(release) == len([*(package / "migrations" / "versions").glob("*.py")])
    (head,) = prepare.ends(release)
    assert prepare.pending(release, {head}) == set()
    assert prepare.pending(release, release[head]) == {head}


@pytest.mark.parametrize("version", OPEN_WEBUI_VERSIONS)
def test_the_settings_that_a_start_saves_are_found(version: str, tmp_path: Path) -> None:
    config = open_webui_source(version, tmp_path) / "config.py"
    (defaults,) = [
        node.value
        for node in ast.parse(config.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DEFAULT_CONFIG"
    ]
    assert isinstance(defaults, ast.Dict)
    keys = {ast.literal_eval(key) for key in defaults.keys if key is not None}
    assert len(keys) > 400
    assert prepare.defaults(config) == keys


@pytest.mark.parametrize("version", OPEN_WEBUI_VERSIONS)
def test_the_called_functions_exist(version: str, tmp_path: Path) -> None:
    config = open_webui_source(version, tmp_path) / "config.py"
    functions = {
        node.name
        for node in ast.parse(config.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert functions >= {"run_migrations", *prepare.SEEDS}


def test_steps_that_depend_on_the_migration_variable_are_prepared(tmp_path: Path) -> None:
    """A server that does not migrate also skips every other step that depends on that variable."""
    package = open_webui_source(OPEN_WEBUI_VERSIONS[-1], tmp_path)
    asking = {
        file.relative_to(package)
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.If) and "ENABLE_DB_MIGRATIONS" in ast.unparse(node.test)
    }
    stores = {Path("retrieval/vector/dbs", f"{each}.py") for each in ("milvus", "milvus_multitenancy")}
    assert asking == {Path("config.py"), *stores}
    assert "milvus" in prepare._STORES
