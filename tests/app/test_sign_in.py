"""Sign-in to the real server through a real LDAP server and an OpenID Connect provider."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.app.environment import Environment, servers
from tests.app.rendered import key
from tests.app.running import Server, free_port, running

pytestmark = pytest.mark.timeout(600)  # the first one may have to install the application

HERE = Path(__file__).parent
PASSWORD = "p@ss:w/rd%41?#"
TEAMS = ("search", "sales")


@contextmanager
def listening(port: int, *command: Path | str) -> Iterator[None]:
    """A Python program that listens on that loopback port, with the packages of `servers()`."""
    around = {"PATH": os.environ["PATH"], "PYTHONPATH": str(servers())}
    with subprocess.Popen([sys.executable, *command], env=around, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert process.poll() is None and time.monotonic() < deadline, command
                time.sleep(0.1)
            yield
        finally:
            process.kill()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def joined(server: Server) -> Sequence[str]:
    """The groups of the signed-in user."""
    return sorted(each["name"] for each in server.ask("/api/v1/groups/"))


DIRECTORY = f"""\
dn: dc=example
objectClass: dcObject
dc: example

dn: cn=airis,dc=example
objectClass: person
cn: airis
userPassword: {PASSWORD}

dn: ou=people,dc=example
objectClass: organizationalUnit
ou: people

dn: cn=ada,ou=people,dc=example
objectClass: person
cn: Ada Lovelace
accountName: ada
address: ada@example.com
memberOf: cn=search,ou=groups,dc=example
disabled: 0
userPassword: secret

dn: cn=eve,ou=people,dc=example
objectClass: person
cn: Eve
accountName: eve
address: eve@example.com
disabled: 1
userPassword: secret

"""


@contextmanager
def directory(folder: Path) -> Iterator[dict[str, Any]]:
    """An LDAP server with DIRECTORY, and the settings for it."""
    port, ldif = free_port(), folder / "directory.ldif"
    ldif.write_text(DIRECTORY)
    with listening(port, HERE / "servers" / "directory.py", str(port), ldif):
        yield {
            "host": "127.0.0.1",
            "port": port,
            "tls": False,
            "appDn": "cn=airis,dc=example",
            "passwordFrom": key("ldap"),
            "searchBase": "dc=example",
        }


def test_a_user_of_the_directory_signs_in(installed: Environment, tmp_path: Path) -> None:
    """The server is at "host" and "port", without "tls"; "appDn" searches it with the password in "passwordFrom"."""
    people = {
        "searchBase": "ou=people,dc=example",
        "searchFilter": "(!(disabled=1))",
        "usernameAttribute": "accountName",
        "mailAttribute": "address",
        "groups": {"attribute": "memberOf", "create": True},
    }
    with (
        directory(tmp_path) as ldap,
        running(
            installed,
            tmp_path / "webui",
            held={"ldap": PASSWORD},
            webui={"auth": {"ldap": {**ldap, **people}, "defaultRole": "user"}},
        ) as server,
    ):
        found = server.ask("/api/v1/auths/ldap", json={"user": "ada", "password": "secret"})
        assert (found["email"], found["name"]) == ("ada@example.com", "Ada Lovelace")
        server.token = found["token"]
        assert joined(server) == ["search"]
        for user, password in (("ada", "wrong"), ("eve", "secret")):
            with pytest.raises(requests.HTTPError):
                server.ask("/api/v1/auths/ldap", json={"user": user, "password": password})


CLAIMS: dict[str, Any] = {
    "mail": "ada@example.com",
    "display_name": "Ada Lovelace",
    "realm": {"roles": ["ops"]},
    "teams": list(TEAMS),
}


def test_a_user_of_the_provider_signs_in(installed: Environment, tmp_path: Path) -> None:
    """The provider knows the client by its "clientId", "clientSecretFrom" and "redirectUri"."""
    port, own = free_port(), free_port()
    provider, callback = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{own}/oauth/oidc/login/callback"
    options = ("--port", str(port), "--require-registration")
    with listening(port, "-m", "oidc_provider_mock", *options):
        client = requests.post(
            f"{provider}/oauth2/clients",
            json={"redirect_uris": [callback], "token_endpoint_auth_method": "client_secret_post"},
            timeout=30,
        ).json()
        requests.put(f"{provider}/users/ada", json=CLAIMS, timeout=30).raise_for_status()
        oauth = {
            "signUp": True,
            "emailClaim": "mail",
            "usernameClaim": "display_name",
            "oidc": {
                "providerUrl": f"{provider}/.well-known/openid-configuration",
                "clientId": client["client_id"],
                "clientSecretFrom": key("oidc"),
                "tokenEndpointAuthMethod": "client_secret_post",
                "redirectUri": callback,
            },
            "roles": {"claim": "realm.roles", "admin": ["ops"], "allowed": ["staff"]},
            "groups": {"claim": "teams", "create": True, "blocked": ["sales"]},
        }
        held = {"oidc": client["client_secret"]}
        webui = {"auth": {"oauth": oauth}}
        with running(installed, tmp_path, port=own, held=held, webui=webui) as server, requests.Session() as browser:
            asked = browser.get(f"{server.url}/oauth/oidc/login", allow_redirects=False, timeout=60)
            said = browser.post(asked.headers["Location"], data={"sub": "ada"}, allow_redirects=False, timeout=60)
            assert said.headers["Location"].startswith(callback)
            browser.get(said.headers["Location"], allow_redirects=False, timeout=60)
            server.token = str(browser.cookies["token"])
            session = server.ask("/api/v1/auths/")
            assert (session["email"], session["name"]) == ("ada@example.com", "Ada Lovelace")
            assert session["role"] == "admin"
            assert joined(server) == ["search"]
