"""The effects of the settings: Open WebUI's own configuration parses the rendered environment.

No server is started. The tests import the module `open_webui.config` like the application's first step, and read the
parsed values: lists, pairs, numbers and switches, and which of them its database saves.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from settings.pods.process_limits import python_variables
from settings.pods.workload import ResourceAmounts
from settings.sign_in.auth import AuthSettings
from settings.types.variables import declared
from settings.webui.connections import ConnectionsSettings
from tests.app.asking import ask
from tests.app.environment import Environment
from tests.app.rendered import key, rendered, value
from tests.app.stacks import AUTH, CONNECTIONS, DISCOVERY, GPU_BOX, NOTHING, OTHERS, OWN

pytestmark = pytest.mark.timeout(600)  # the first one may have to install the application

READ = """
import json, sys
from types import SimpleNamespace

import open_webui.config as config
import open_webui.env as env
from open_webui.models.config import Config
from open_webui.utils.misc import parse_duration

asked = json.loads(sys.argv[1])
providers = {}
for name, provider in config.OAUTH_PROVIDERS.items():
    provider["register"](SimpleNamespace(register=lambda name=name, **given: providers.update({name: given})))
lasts = parse_duration(config.JWT_EXPIRES_IN)
json.dump(
    {
        "values": {name: getattr(config, name, getattr(env, name, None)) for name in asked},
        "keys": {key: Config.DEFAULTS[key] for key in Config.DEFAULTS if key.startswith(("ldap.", "audio.", "rag."))},
        "kept": {key: Config.persistent_enabled_for(key) for key in Config.DEFAULTS},
        "providers": providers,
        "names": {name: provider.get("name") for name, provider in config.OAUTH_PROVIDERS.items()},
        "seconds": lasts and lasts.total_seconds(),
    },
    open(sys.argv[2], "w"),
    default=str,
)
"""
"""Reads values of the application's configuration by name."""


DOORS = """
import asyncio, json, sys

import open_webui.config
from open_webui.models.config import Config
from open_webui.routers.auths import ldap_auth, signin

Config.DEFAULTS["ldap.enable"] = True
answers = {}
for door in (signin, ldap_auth):
    try:
        asyncio.run(door(None, None, None, None))
    except Exception as refusal:
        answers[door.__name__] = getattr(refusal, "status_code", repr(refusal))
answers["signUp"] = [Config.DEFAULTS["ui.enable_signup"]]
asyncio.run(Config.upsert({"ui.enable_signup": False}))  # there is no table to write to
answers["signUp"].append(Config.DEFAULTS["ui.enable_signup"])
json.dump(answers, open(sys.argv[2], "w"))
"""
"""Tries to sign in with a password; and closes sign-up, as the first account does."""


class Read:
    """The application's parsed values of a stack's settings."""

    def __init__(self, environment: Environment, folder: Path, **settings: object) -> None:
        answered = ask(environment, folder, READ, rendered(**settings).environment())
        self.values: dict[str, Any] = answered["values"]
        self.keys: dict[str, Any] = answered["keys"]
        self.kept: dict[str, bool] = answered["kept"]
        self.providers: dict[str, Any] = answered["providers"]
        self.names: dict[str, str | None] = answered["names"]
        self.session_seconds: float | None = answered["seconds"]

    def under(self, prefix: str, *keys: str) -> dict[str, Any]:
        return {each: self.keys[f"{prefix}.{each}"] for each in keys}


@pytest.fixture(scope="module")
def everything(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Read:
    return Read(installed, tmp_path_factory.mktemp("all"), webui={"auth": AUTH, "connections": CONNECTIONS})


@pytest.fixture(scope="module")
def nothing(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """No Ollama, no OpenAI, no passwords; and nothing saved in the database."""
    return Read(installed, tmp_path_factory.mktemp("none"), **NOTHING)


@pytest.fixture(scope="module")
def others(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """The other engines, and one server without a key."""
    return Read(installed, tmp_path_factory.mktemp("others"), webui={"connections": OTHERS})


def test_every_rendered_variable_but_these_is_read_by_the_configuration(everything: Read) -> None:
    """An unknown name would silently have no effect."""
    unknown = {name for name, found in everything.values.items() if found is None}
    assert unknown == {
        *(f"AIRIS_OPENAI_KEY_{index}" for index in (0, 2, 3)),  # only for $(NAME)
        "HOME",
        "LDAP_SEARCH_FILTER",  # LDAP_SEARCH_FILTERS in Python
        *python_variables(ResourceAmounts(cpu="1")),  # read by libraries
    }


def test_urls_and_keys_of_openai_match_by_position(everything: Read) -> None:
    urls, keys = everything.values["OPENAI_API_BASE_URLS"], everything.values["OPENAI_API_KEYS"]
    assert list(zip(urls, keys, strict=True)) == [
        ("https://a.example.com/v1", value("a")),
        ("http://vllm:8000/v1", ""),
        ("https://c.example.com/v1", value("c")),
        ("http://pipelines:9099", value("pipelines")),
    ]
    assert everything.values["ENABLE_OPENAI_API"] is True
    assert everything.values["OPENAI_API_CONFIGS"] == {"1": {"model_ids": ["x", "ä"], "prefix_id": "vllm"}}


def test_one_server_without_a_key_gets_an_empty_one(others: Read) -> None:
    assert others.values["OPENAI_API_BASE_URLS"] == ["http://vllm:8000/v1"]
    assert others.values["OPENAI_API_KEYS"][0] == ""


def test_the_stacks_own_ollama_comes_first(everything: Read, others: Read) -> None:
    assert everything.values["OLLAMA_BASE_URLS"] == [OWN, GPU_BOX]
    assert others.values["OLLAMA_BASE_URL"] == OWN


def test_no_model_servers(nothing: Read) -> None:
    assert (nothing.values["ENABLE_OLLAMA_API"], nothing.values["ENABLE_OPENAI_API"]) == (False, False)


def test_providers_are_registered(everything: Read) -> None:
    assert everything.names == {"oidc": "Example", "google": None, "microsoft": None, "github": None}
    oidc = everything.providers["oidc"]
    assert (oidc["client_id"], oidc["client_secret"]) == ("airis", value("oidc"))
    assert oidc["server_metadata_url"] == DISCOVERY
    assert oidc["redirect_uri"] == "https://chat.example.com/oauth/oidc/login/callback"
    assert oidc["client_kwargs"] == {
        "scope": "openid email groups",
        "token_endpoint_auth_method": "client_secret_post",
        "code_challenge_method": "S256",
    }
    google = everything.providers["google"]
    assert (google["client_id"], google["client_secret"]) == ("g", value("google"))
    assert google["redirect_uri"] == "https://chat.example.com/oauth/google/login/callback"
    assert google["client_kwargs"]["scope"] == "openid email"
    microsoft = everything.providers["microsoft"]
    assert microsoft["client_secret"] == value("microsoft")
    assert microsoft["redirect_uri"] == "https://chat.example.com/oauth/microsoft/login/callback"
    assert microsoft["client_kwargs"]["scope"] == "openid offline_access"
    assert microsoft["server_metadata_url"].startswith("https://login.microsoftonline.us/example.com/v2.0/")
    github = everything.providers["github"]
    assert (github["client_id"], github["client_secret"]) == ("h", value("github"))
    assert github["redirect_uri"] == "https://chat.example.com/oauth/github/login/callback"
    assert github["client_kwargs"]["scope"] == "user:email"


def test_a_public_client_is_registered_too(installed: Environment, tmp_path: Path) -> None:
    oidc = {"providerUrl": DISCOVERY, "clientId": "airis", "codeChallengeMethod": "S256"}
    read = Read(installed, tmp_path, webui={"auth": {"oauth": {"oidc": oidc}}})
    assert read.names == {"oidc": "SSO"}


def test_accounts_roles_and_groups_of_providers(everything: Read) -> None:
    expected = {
        "ENABLE_OAUTH_SIGNUP": True,
        "OAUTH_MERGE_ACCOUNTS_BY_EMAIL": True,
        "OAUTH_ALLOWED_DOMAINS": ["example.com", "example.org"],
        "OAUTH_EMAIL_CLAIM": "mail",
        "OAUTH_USERNAME_CLAIM": "display_name",
        "OAUTH_PICTURE_CLAIM": "photo",
        "OAUTH_SUB_CLAIM": "oid",
        "OAUTH_UPDATE_NAME_ON_LOGIN": True,
        "OAUTH_UPDATE_EMAIL_ON_LOGIN": True,
        "OAUTH_UPDATE_PICTURE_ON_LOGIN": True,
        "OPENID_END_SESSION_ENDPOINT": "https://id.example.com/logout",
        "ENABLE_OAUTH_ROLE_MANAGEMENT": True,
        "OAUTH_ROLES_CLAIM": "realm_access.roles",
        "OAUTH_ADMIN_ROLES": ["ops"],
        "OAUTH_ALLOWED_ROLES": ["staff, all", "guests"],
        "ENABLE_OAUTH_GROUP_MANAGEMENT": True,
        "ENABLE_OAUTH_GROUP_CREATION": True,
        "OAUTH_GROUPS_CLAIM": "teams",
        "OAUTH_GROUPS_SEPARATOR": ",",
    }
    assert {name: everything.values[name] for name in expected} == expected
    assert json.loads(everything.values["OAUTH_BLOCKED_GROUPS"]) == ["all-*", "böse"]


def test_accounts_sessions_and_the_first_administrator(everything: Read, nothing: Read) -> None:
    expected = {
        "ENABLE_SIGNUP": False,
        "DEFAULT_USER_ROLE": "user",
        "ENABLE_LOGIN_FORM": True,
        "ENABLE_PASSWORD_AUTH": True,
        "WEBUI_ADMIN_EMAIL": "admin@example.com",
        "WEBUI_ADMIN_NAME": "Ada Lovelace",
        "WEBUI_ADMIN_PASSWORD": value("admin"),
        "WEBUI_AUTH_TRUSTED_EMAIL_HEADER": "X-Email",
        "WEBUI_AUTH_TRUSTED_NAME_HEADER": "X-Name",
        "WEBUI_AUTH_TRUSTED_GROUPS_HEADER": "X-Groups",
        "WEBUI_AUTH_TRUSTED_ROLE_HEADER": "X-Role",
    }
    assert {name: everything.values[name] for name in expected} == expected
    assert everything.session_seconds == 9 * 24 * 3600
    assert (nothing.values["ENABLE_LOGIN_FORM"], nothing.values["ENABLE_PASSWORD_AUTH"]) == (False, False)
    assert nothing.session_seconds is None


def test_no_accounts_at_all(installed: Environment, tmp_path: Path) -> None:
    read = Read(installed, tmp_path, webui={"auth": {"enabled": False}})
    assert read.values["WEBUI_AUTH"] is False


def test_ldap(everything: Read) -> None:
    assert {
        name.removeprefix("ldap."): found for name, found in everything.keys.items() if name.startswith("ldap")
    } == {
        "enable": True,
        "server.label": "Directory",
        "server.host": "ldap.example.com",
        "server.port": 636,
        "server.attribute_for_mail": "userPrincipalName",
        "server.default_email_domain": "example.com",
        "server.attribute_for_username": "sAMAccountName",
        "server.app_dn": "cn=airis,dc=example,dc=com",
        "server.app_password": value("ldap"),
        "server.users_dn": "ou=people,dc=example,dc=com",
        "server.search_filter": "(&(objectClass=person)(!(disabled=1)))",
        "server.use_tls": True,
        "server.ca_cert_file": "/certs/ldap.pem",
        "server.validate_cert": True,
        "server.ciphers": "ALL",
        "group.enable_management": True,
        "group.enable_creation": True,
        "server.attribute_for_groups": "groups",
    }


def test_document_extraction_embeddings_and_reranking(everything: Read, others: Read) -> None:
    assert everything.under(
        "rag",
        *("tika_server_url", "embedding_engine", "embedding_model", "embedding_batch_size", "ollama.base_url"),
        *("enable_hybrid_search", "reranking_engine", "reranking_model", "external_reranker_url"),
        *("external_reranker_api_key", "external_reranker_timeout"),
    ) == {
        "tika_server_url": "http://tika.example.com:9998",
        "embedding_engine": "ollama",
        "embedding_model": "nomic-embed-text",
        "embedding_batch_size": 8,
        "ollama.base_url": OWN,
        "enable_hybrid_search": True,
        "reranking_engine": "external",
        "reranking_model": "reranker",
        "external_reranker_url": "http://rerank:8000/v1/rerank",
        "external_reranker_api_key": value("rerank"),
        "external_reranker_timeout": "5",
    }
    assert everything.values["CONTENT_EXTRACTION_ENGINE"] == "tika"
    assert others.values["CONTENT_EXTRACTION_ENGINE"] == "docling"
    assert others.under(
        "rag",
        *("docling_server_url", "docling_api_key", "embedding_engine"),
        *("azure_openai.base_url", "azure_openai.api_key", "azure_openai.api_version"),
    ) == {
        "docling_server_url": "http://docling:5001",
        "docling_api_key": value("docling"),
        "embedding_engine": "azure_openai",
        "azure_openai.base_url": "https://a.openai.azure.com",
        "azure_openai.api_key": value("azure"),
        "azure_openai.api_version": "2024-10-21",
    }


def test_speech(everything: Read, others: Read) -> None:
    assert everything.under(
        "audio",
        *("stt.engine", "stt.model", "stt.openai.api_base_url", "stt.openai.api_key"),
        *("tts.engine", "tts.model", "tts.voice", "tts.api_key"),
    ) == {
        "stt.engine": "openai",
        "stt.model": "whisper-1",
        "stt.openai.api_base_url": "http://whisper:8000/v1",
        "stt.openai.api_key": value("stt"),
        "tts.engine": "elevenlabs",
        "tts.model": "m",
        "tts.voice": "v",
        "tts.api_key": value("tts"),
    }
    assert others.under(
        "audio",
        *("stt.engine", "stt.azure.region", "stt.azure.api_key", "tts.engine", "tts.openai.api_base_url"),
    ) == {
        "stt.engine": "azure",
        "stt.azure.region": "westeurope",
        "stt.azure.api_key": value("stt"),
        "tts.engine": "openai",
        "tts.openai.api_base_url": "http://tts:8000/v1",
    }


def test_speech_of_a_region(installed: Environment, tmp_path: Path) -> None:
    speech = {"engine": "azure", "region": "westeurope", "voice": "v", "keyFrom": key("tts")}
    read = Read(installed, tmp_path, webui={"connections": {"textToSpeech": speech}})
    assert read.under("audio", "tts.engine", "tts.azure.speech_region") == {
        "tts.engine": "azure",
        "tts.azure.speech_region": "westeurope",
    }


def test_the_database_saves_the_documented_settings(everything: Read, nothing: Read) -> None:
    kept = {key for key, found in everything.kept.items() if found}
    assert {
        *("ui.enable_signup", "ui.enable_login_form", "ui.default_user_role", "auth.jwt_expiry", "ldap.enable"),
        *("ollama.base_urls", "openai.api_base_urls", "rag.embedding_engine", "audio.stt.engine"),
    } <= kept
    assert {key for key in everything.kept if key not in kept} == {
        key for key in everything.kept if key.startswith("oauth.")
    }
    assert not any("password_auth" in key or "trusted_email" in key for key in everything.kept)
    assert not any(nothing.kept.values())


def test_without_passwords_neither_ldap_nor_a_trusted_header_works(installed: Environment, tmp_path: Path) -> None:
    """The reason why `passwordAuth: false` is refused with them, and why `signUp: false` is needed if nothing is saved."""
    answers = ask(installed, tmp_path, DOORS, rendered(**NOTHING).environment())
    assert (answers["signin"], answers["ldap_auth"]) == (403, 403)
    assert answers["signUp"] == [True, False]  # in this process only


def test_every_variable_of_these_settings_exists(installed: Environment) -> None:
    """Also those of engines and providers that no stack above uses."""
    (package,) = installed.folder.glob("lib/python*/site-packages/open_webui")
    source = "".join((package / name).read_text(encoding="utf-8") for name in ("config.py", "env.py"))
    names = {**declared(AuthSettings, "auth"), **declared(ConnectionsSettings, "connections")}
    asked = sorted(name for name in names if not name.startswith("AIRIS_"))
    assert len(asked) > 100
    assert [name for name in asked if f"'{name}'" not in source] == []
