"""The stack's values appear in the administrator's pages of a real server, and are not the defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.app.effects import EVERYBODY, PLACES
from tests.app.environment import Environment
from tests.app.rendered import key, value
from tests.app.running import Server, running
from tests.app.stacks import AUTH, CONNECTIONS, OTHERS

pytestmark = pytest.mark.timeout(900)  # the first one may have to install the application

EMAIL = "admin@example.com"
ADMIN = {"email": EMAIL, "name": "Ada Lovelace", "passwordFrom": key("admin")}
ORIGIN, ANOTHER = "https://portal.example.com", "https://another.example.com"
MODELS = {"url": "https://a.example.com/v1", "keyFrom": key("a"), "models": ["x", "ä"], "prefix": "a"}

STACKS: Mapping[str, Mapping[str, Any]] = {
    "nothing": {"webui": {"auth": {"firstAdmin": ADMIN}}},
    "all": {
        "webui": {
            "url": "https://chat.example.com",
            "corsOrigins": [ORIGIN],
            "auth": {name: said for name, said in AUTH.items() if name != "trustedHeader"},
            "connections": {**CONNECTIONS, "openai": [MODELS, {"url": "http://vllm:8000/v1"}]},
        }
    },
    "plain": {
        "webui": {
            "auth": {
                "firstAdmin": ADMIN,
                "ldap": {
                    "host": "ldap.example.com",
                    "port": 1389,
                    "tls": False,
                    "validateCertificate": False,
                    "searchBase": "dc=example",
                },
            }
        }
    },
    "others": {
        "webui": {
            "auth": {
                "firstAdmin": ADMIN,
                "loginForm": False,
                "oauth": {"autoRedirect": True, "github": {"clientId": "h", "clientSecretFrom": key("github")}},
            },
            "connections": OTHERS,
        }
    },
}


class Pages:
    """The pages of each stack's server. A server is started at its first request, one after another."""

    def __init__(self, installed: Environment, folder: Path) -> None:
        self._installed, self._folder = installed, folder
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, stack: str) -> Mapping[str, Any]:
        """The responses by page, the signed-in user, and the allowed origins."""
        if stack not in self._known:
            with running(self._installed, self._folder / stack, **STACKS[stack]) as server:
                server.sign_in(EMAIL, value("admin"))
                pages = sorted({place.page for place in PLACES.values()})
                self._known[stack] = {
                    **{page: server.ask(page) for page in pages},
                    "session": server.ask("/api/v1/auths/"),
                    **{origin: allows(server, origin) for origin in (ORIGIN, ANOTHER)},
                }
        return self._known[stack]


def allows(server: Server, origin: str) -> bool:
    """Whether the server accepts requests of that origin."""
    answer = requests.get(f"{server.url}{EVERYBODY}", headers={"Origin": origin}, timeout=60)
    return answer.headers.get("access-control-allow-origin") in (origin, "*")


@pytest.fixture(scope="module")
def pages(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return Pages(installed, tmp_path_factory.mktemp("pages"))


def said(stack: str, key: str) -> Any:
    """The stack's value of a key; in lists, that of the first item."""
    found: Any = STACKS[stack]
    for part in key.removeprefix("airis:").split("."):
        found = found[0] if isinstance(found, list) else found
        found = found[part]
    return found


def shown(page: Any, at: tuple[str | int, ...]) -> Any:
    """The value at that place; None if there is none."""
    for part in at:
        try:
            page = page[part]
        except (KeyError, IndexError):
            return None
    return page


@pytest.mark.parametrize("key", PLACES)
def test_the_value_is_on_the_page(key: str, pages: Pages) -> None:
    place = PLACES[key]
    expected = place.shown(said(place.stack, key))
    assert shown(pages.of(place.stack)[place.page], place.at) == expected
    assert shown(pages.of("nothing")[place.page], place.at) != expected, "it is the default"


def test_the_first_administrator_is_that_of_the_stack(pages: Pages) -> None:
    session = pages.of("nothing")["session"]
    assert (session["email"], session["name"], session["role"]) == (ADMIN["email"], ADMIN["name"], "admin")


def test_exactly_the_stacks_origins_are_allowed(pages: Pages) -> None:
    """Set by "corsOrigins"."""
    assert (pages.of("all")[ORIGIN], pages.of("all")[ANOTHER]) == (True, False)
    assert pages.of("nothing")[ANOTHER]
