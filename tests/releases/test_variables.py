"""The pinned releases read every environment variable that a setting sets. Another one would silently have no effect.

Variables of some releases only are marked, and the mark is verified: these releases read them, the others do not.
"""

from collections.abc import Set as AbstractSet
from typing import Literal, get_args, get_origin

import pytest

from airis.render.program import Rendering
from settings import OllamaSettings, StackSettings, WebUISettings
from settings.ollama.llama_server import LLAMA_VARIABLES
from settings.ollama.server import OllamaServerSettings
from settings.pods.process_limits import PYTHON_VARIABLES
from settings.types.base import Settings
from settings.types.releases import OLLAMA, OPEN_WEBUI, Application, marks, release
from settings.types.secrets import SecretsSettings
from settings.types.variables import declared
from tests.ollama.asking import VERSIONS
from tests.releases.releases import (
    OPEN_WEBUI_VERSIONS,
    ollama_libraries,
    ollama_variables,
    open_webui_variables,
)
from tests.unit.drawing import COMMITTED, committed, container, draw_once, env, manifest

pytestmark = pytest.mark.timeout(300)  # the first run downloads

EVERYWHERE = {
    "HOME": "POSIX: where a program keeps what it writes for itself",
    "HTTPS_PROXY": "Python's urllib, requests, httpx and aiohttp; Go's net/http",
    "HTTP_PROXY": "as HTTPS_PROXY",
    "NO_PROXY": "as HTTPS_PROXY",
    "SSL_CERT_FILE": "OpenSSL; Go's crypto/x509",
    "REQUESTS_CA_BUNDLE": "Python's requests",
}
"""Variables that libraries read, not the applications themselves."""

WEBUI_LIBRARIES: dict[str, str] = {
    "PGPASSWORD": "libpq, which psycopg2 and psycopg use",
    "PGSSLROOTCERT": "as PGPASSWORD",
}
"""The same for WebUI only."""

OWN = "AIRIS_"
"""Prefix of the names that are only used in the values of other variables."""


every_ollama = pytest.mark.parametrize("version", VERSIONS)
every_open_webui = pytest.mark.parametrize("version", OPEN_WEBUI_VERSIONS)


def unread(names: AbstractSet[str], released: AbstractSet[str], *libraries: dict[str, str]) -> list[str]:
    """The names that are not read."""
    elsewhere = {name for each in (EVERYWHERE, *libraries) for name in each}
    return sorted(name for name in names - released - elsewhere if not name.startswith(OWN))


@every_open_webui
def test_variables_of_open_webui_are_found(version: str) -> None:
    found = open_webui_variables(version)
    assert len(found) > 400
    assert {"WEBUI_SECRET_KEY", "DATABASE_URL", "OLLAMA_BASE_URLS", "GLOBAL_LOG_LEVEL"} <= found
    assert found.isdisjoint({"WEBUI_SECRET_KEYS", "DATABASE_URI", "LOG_FORMATS"})


@every_ollama
def test_variables_of_ollama_are_found(version: str) -> None:
    found = ollama_variables(version)
    assert len(found) > 25
    assert {"OLLAMA_NO_CLOUD", "OLLAMA_KEEP_ALIVE", "OLLAMA_HOST", "NVIDIA_VISIBLE_DEVICES"} <= found
    assert {"cuda_v12", "cuda_v13", "vulkan"} <= ollama_libraries(version)


def test_two_releases_are_pinned_and_the_newest_is_that_of_the_default_image() -> None:
    assert len(VERSIONS) >= 2 <= len(OPEN_WEBUI_VERSIONS)
    assert (VERSIONS[-1], OPEN_WEBUI_VERSIONS[-1]) == (OLLAMA.version, OPEN_WEBUI.version)


@every_open_webui
@pytest.mark.parametrize("model", [WebUISettings, SecretsSettings])
def test_every_variable_of_the_webui_exists(model: type[WebUISettings] | type[SecretsSettings], version: str) -> None:
    supported = declared(model, "airis:webui", release=release(version)).keys()
    assert len(supported) >= 5
    assert unread(supported, open_webui_variables(version), WEBUI_LIBRARIES) == []
    assert (declared(model, "airis:webui").keys() - supported) & open_webui_variables(version) == set()


@every_ollama
def test_every_variable_of_ollama_exists(version: str) -> None:
    supported = declared(OllamaSettings, "airis:ollama", release=release(version)).keys()
    assert unread(supported, ollama_variables(version)) == []
    assert (declared(OllamaSettings, "airis:ollama").keys() - supported) & ollama_variables(version) == set()


@every_ollama
def test_every_library_exists_in_ollama(version: str) -> None:
    field = OllamaServerSettings.model_fields["llm_library"]
    (names,) = [get_args(each) for each in get_args(field.annotation) if get_origin(each) is Literal]
    limited = {value: mark for mark in marks(field.metadata) for value in mark.values}
    supported = {name for name in names if name not in limited or limited[name].by(release(version))}
    assert len(supported) >= 5
    assert set(names) & ollama_libraries(version) == supported


def test_variables_derived_from_other_settings_are_read_by_the_newest_releases() -> None:
    settings = StackSettings()
    webui = settings.webui.managed_env.keys() - outdated(WebUISettings, OPEN_WEBUI)
    ollama = settings.ollama.managed_env.keys() - outdated(OllamaSettings, OLLAMA)
    assert unread(webui, open_webui_variables(OPEN_WEBUI.version), WEBUI_LIBRARIES) == []
    assert unread(ollama, ollama_variables(OLLAMA.version)) == []


def outdated(model: type[Settings], application: Application) -> AbstractSet[str]:
    """The variables that the newest release does not read."""
    return declared(model, "").keys() - declared(model, "", release=release(application.version)).keys()


@pytest.mark.parametrize("stack", COMMITTED)
def test_rendered_variables_are_declared(stack: str) -> None:
    assert undeclared(committed(stack)) == []


def test_variables_rendered_for_a_proxy_and_authorities_are_declared() -> None:
    drawn = draw_once(proxy={"url": "http://proxy:3128"}, caBundle={"configMap": "roots"}, ollama={"gpu": {}})
    assert undeclared(drawn) == []


def undeclared(drawn: Rendering) -> list[str]:
    settings = StackSettings()
    webui, ollama = manifest(drawn, "Deployment", "airis-deployment"), manifest(drawn, "StatefulSet", "ollama")
    assert container(webui)
    names = [
        *(name for name in env(webui) if name not in settings.webui.managed_env and not name.startswith(OWN)),
        *(name for name in env(ollama) if name not in settings.ollama.managed_env),
    ]
    return sorted({*names} - LLAMA_VARIABLES - PYTHON_VARIABLES)
