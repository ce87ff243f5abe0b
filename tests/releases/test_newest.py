"""`make outdated` can parse the output of the registries' clients. Skipped if the registries are not reachable."""

import pytest

from airis.terminal.errors import EnvironmentProblem
from maintenance import clients

pytestmark = pytest.mark.timeout(300)


def test_the_clients_return_the_newest_versions() -> None:
    try:
        packages = clients.newest_python(["pydantic", "types-pyyaml"])
        modules = clients.newest_go(["k8s.io/kubernetes"])
        ollama = clients.existing_go("github.com/ollama/ollama", ["v0.17.4", "v0.34.4", "v0.34.9999"])
    except EnvironmentProblem as problem:
        pytest.skip(f"NOT ASKED, because a registry cannot be reached here: {problem.message}")
    assert packages.keys() == {"pydantic", "types-pyyaml"}
    assert clients.numbers(packages["pydantic"]) >= (2, 14)
    assert clients.numbers(modules["k8s.io/kubernetes"]) >= (1, 37)
    assert ollama == ["v0.17.4", "v0.34.4"]
