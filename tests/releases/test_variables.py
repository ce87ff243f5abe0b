"""Every environment variable that a setting sets is one that the pinned releases read. Nobody would notice another."""

import pytest

from airis.program import Rendering
from settings import OllamaSettings, StackSettings, WebUISettings
from settings.secrets import SecretsSettings
from settings.variables import declared
from tests.releases.releases import ollama_variables, ollama_version, open_webui_variables
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
"""Variables that neither application looks up itself: the libraries do, and these are their names."""

WEBUI_LIBRARIES: dict[str, str] = {
    "PGPASSWORD": "libpq, which psycopg2 and psycopg use",
    "PGSSLROOTCERT": "as PGPASSWORD",
}
"""The same for WebUI alone."""

OWN = "AIRIS_"
"""Begins the names that only stand in other variables' values."""


def known(name: str, released: frozenset[str], *libraries: dict[str, str]) -> bool:
    return name in released or name.startswith(OWN) or any(name in each for each in (EVERYWHERE, *libraries))


def test_the_releases_are_read_at_all() -> None:
    assert len(open_webui_variables()) > 400
    assert len(ollama_variables()) > 25
    assert {"WEBUI_SECRET_KEY", "DATABASE_URL", "OLLAMA_BASE_URLS", "GLOBAL_LOG_LEVEL"} <= open_webui_variables()
    assert {"OLLAMA_NO_CLOUD", "OLLAMA_KEEP_ALIVE", "OLLAMA_HOST", "NVIDIA_VISIBLE_DEVICES"} <= ollama_variables()
    assert open_webui_variables().isdisjoint({"WEBUI_SECRET_KEYS", "DATABASE_URI", "LOG_FORMATS"})
    # A variable of newer releases, which this one would ignore
    assert "LLAMA_ARG_CACHE_RAM" not in ollama_variables()


def test_the_default_image_is_the_pinned_release() -> None:
    assert OllamaSettings().image == f"ollama/ollama:{ollama_version()}"


@pytest.mark.parametrize("model", [WebUISettings, SecretsSettings])
def test_every_variable_of_the_webui_exists(model: type[WebUISettings] | type[SecretsSettings]) -> None:
    names = declared(model, "airis:webui").keys()
    assert len(names) >= 5
    assert sorted(name for name in names if not known(name, open_webui_variables(), WEBUI_LIBRARIES)) == []


def test_every_variable_of_ollama_exists() -> None:
    names = declared(OllamaSettings, "airis:ollama").keys()
    assert sorted(name for name in names if not known(name, ollama_variables())) == []


def test_every_variable_that_follows_from_other_settings_exists() -> None:
    settings = StackSettings()
    assert sorted(n for n in settings.webui.managed_env if not known(n, open_webui_variables(), WEBUI_LIBRARIES)) == []
    assert sorted(n for n in settings.ollama.managed_env if not known(n, ollama_variables())) == []


@pytest.mark.parametrize("stack", COMMITTED)
def test_what_is_rendered_is_what_is_declared(stack: str) -> None:
    assert undeclared(committed(stack)) == []


def test_what_is_rendered_with_a_proxy_and_authorities_is_declared() -> None:
    drawn = draw_once(proxy={"url": "http://proxy:3128"}, caBundle={"configMap": "roots"}, ollama={"gpu": {}})
    assert undeclared(drawn) == []


def undeclared(drawn: Rendering) -> list[str]:
    settings = StackSettings()
    webui, ollama = manifest(drawn, "Deployment", "airis-deployment"), manifest(drawn, "StatefulSet", "ollama")
    assert container(webui)
    return sorted(
        [
            *(name for name in env(webui) if name not in settings.webui.managed_env and not name.startswith(OWN)),
            *(name for name in env(ollama) if name not in settings.ollama.managed_env),
        ]
    )
