"""Authentication: the variables of each setting, and combinations that would let nobody, or everybody, sign in."""

from collections.abc import Mapping
from typing import Any

import pytest

from airis.render import program
from settings import load
from tests.unit.conftest import Refuse
from tests.unit.drawing import draw_once, env, manifest, stack_of

pytestmark = pytest.mark.timeout(60)

SECRET = {"name": "sso", "key": "client"}
REFERENCE = {"secretKeyRef": SECRET}
DISCOVERY = "https://id.example.com/realms/a/.well-known/openid-configuration"
OIDC = {"providerUrl": DISCOVERY, "clientId": "airis", "clientSecretFrom": SECRET}
GITHUB = {"clientId": "b", "clientSecretFrom": SECRET}
LDAP = {"host": "ldap.example.com", "searchBase": "ou=people,dc=example,dc=com"}
HEADER = {"email": "X-Forwarded-Email"}

IN_FLOW = {
    "S": "{name: sso, key: client}",
    "OIDC": f"providerUrl: '{DISCOVERY}', clientId: a, clientSecretFrom: {{name: sso, key: client}}",
    "CLIENT": "clientId: a, clientSecretFrom: {name: sso, key: client}",
    "LDAP": "host: ldap.example.com, searchBase: 'dc=example,dc=com'",
}
"""Values of `<...>` in the tables below."""


def written(config: str) -> str:
    for name, text in IN_FLOW.items():
        config = config.replace(f"<{name}>", text)
    return config


def added(**auth: object) -> Mapping[str, Any]:
    """The variables that these settings add to the defaults."""
    before, after = (
        env(manifest(draw_once(webui=each), "Deployment", "airis-deployment")) for each in ({}, {"auth": auth})
    )
    assert before.items() <= after.items()
    return {name: value for name, value in after.items() if name not in before}


def warnings(**settings: object) -> list[str]:
    stack = stack_of(**settings)
    return [each for each in load(stack.config, source="x").warnings() if "airis:webui.auth" in each]


def test_default_sets_no_variables() -> None:
    assert added() == {}


def test_sign_up_roles_form_passwords_and_sessions() -> None:
    auth = {
        "signUp": False,
        "defaultRole": "user",
        "loginForm": False,
        "passwordAuth": False,
        "jwtExpiresIn": "1w2d",
        "oauth": {"github": GITHUB},
    }
    variables = added(**auth)
    assert variables["ENABLE_SIGNUP"] == "False"
    assert variables["DEFAULT_USER_ROLE"] == "user"
    assert variables["ENABLE_LOGIN_FORM"] == "False"
    assert variables["ENABLE_PASSWORD_AUTH"] == "False"
    assert variables["JWT_EXPIRES_IN"] == "1w2d"


def test_the_first_administrator_has_a_password_by_reference() -> None:
    admin = {"email": "admin@example.com", "name": "Ada Lovelace", "passwordFrom": SECRET}
    assert added(firstAdmin=admin) == {
        "WEBUI_ADMIN_EMAIL": "admin@example.com",
        "WEBUI_ADMIN_NAME": "Ada Lovelace",
        "WEBUI_ADMIN_PASSWORD": REFERENCE,
    }


def test_any_openid_provider() -> None:
    oidc = {
        **OIDC,
        "providerName": "Example",
        "scopes": ["openid", "email", "groups"],
        "codeChallengeMethod": "S256",
        "tokenEndpointAuthMethod": "client_secret_post",
        "redirectUri": "https://chat.example.com/oauth/oidc/login/callback",
    }
    assert added(oauth={"oidc": oidc}) == {
        "OPENID_PROVIDER_URL": DISCOVERY,
        "OAUTH_CLIENT_ID": "airis",
        "OAUTH_CLIENT_SECRET": REFERENCE,
        "OAUTH_CODE_CHALLENGE_METHOD": "S256",
        "OAUTH_TOKEN_ENDPOINT_AUTH_METHOD": "client_secret_post",
        "OAUTH_PROVIDER_NAME": "Example",
        "OAUTH_SCOPES": "openid email groups",
        "OPENID_REDIRECT_URI": "https://chat.example.com/oauth/oidc/login/callback",
    }


def test_google_microsoft_and_github_together() -> None:
    providers = {
        "google": {
            **GITHUB,
            "scopes": ["openid", "email"],
            "redirectUri": "https://chat.example.com/oauth/google/callback",
        },
        "microsoft": {
            **GITHUB,
            "tenantId": "example.com",
            "loginBaseUrl": "https://login.microsoftonline.us",
            "scopes": ["openid"],
            "redirectUri": "https://chat.example.com/oauth/microsoft/login/callback",
        },
        "github": {
            **GITHUB,
            "scopes": ["user:email", "read:user"],
            "redirectUri": "https://chat.example.com/oauth/github/login/callback",
        },
    }
    assert added(oauth=providers) == {
        "GOOGLE_CLIENT_ID": "b",
        "GOOGLE_CLIENT_SECRET": REFERENCE,
        "GOOGLE_OAUTH_SCOPE": "openid email",
        "GOOGLE_REDIRECT_URI": "https://chat.example.com/oauth/google/callback",
        "MICROSOFT_CLIENT_ID": "b",
        "MICROSOFT_CLIENT_SECRET": REFERENCE,
        "MICROSOFT_CLIENT_TENANT_ID": "example.com",
        "MICROSOFT_CLIENT_LOGIN_BASE_URL": "https://login.microsoftonline.us",
        "MICROSOFT_OAUTH_SCOPE": "openid",
        "MICROSOFT_REDIRECT_URI": "https://chat.example.com/oauth/microsoft/login/callback",
        "GITHUB_CLIENT_ID": "b",
        "GITHUB_CLIENT_SECRET": REFERENCE,
        "GITHUB_CLIENT_SCOPE": "user:email read:user",
        "GITHUB_CLIENT_REDIRECT_URI": "https://chat.example.com/oauth/github/login/callback",
    }


def test_oauth_sign_up_and_account_settings() -> None:
    oauth = {
        "github": GITHUB,
        "signUp": True,
        "mergeAccountsByEmail": True,
        "allowedDomains": ["example.com", "example.org"],
        "emailClaim": "mail",
        "usernameClaim": "display_name",
        "pictureClaim": "photo",
        "subClaim": "oid",
        "updateNameOnLogin": True,
        "updateEmailOnLogin": False,
        "updatePictureOnLogin": True,
        "endSessionEndpoint": "https://id.example.com/logout",
    }
    before, after = added(oauth={"github": GITHUB}), added(oauth=oauth)
    assert {name: value for name, value in after.items() if name not in before} == {
        "ENABLE_OAUTH_SIGNUP": "True",
        "OAUTH_MERGE_ACCOUNTS_BY_EMAIL": "True",
        "OAUTH_ALLOWED_DOMAINS": "example.com,example.org",
        "OAUTH_EMAIL_CLAIM": "mail",
        "OAUTH_USERNAME_CLAIM": "display_name",
        "OAUTH_PICTURE_CLAIM": "photo",
        "OAUTH_SUB_CLAIM": "oid",
        "OAUTH_UPDATE_NAME_ON_LOGIN": "True",
        "OAUTH_UPDATE_EMAIL_ON_LOGIN": "False",
        "OAUTH_UPDATE_PICTURE_ON_LOGIN": "True",
        "OPENID_END_SESSION_ENDPOINT": "https://id.example.com/logout",
    }


def test_roles_and_groups_from_the_provider() -> None:
    oauth = {
        "github": GITHUB,
        "roles": {"claim": "realm_access.roles", "admin": ["ops"], "allowed": ["staff", "guests"]},
        "groups": {"claim": "groups", "create": True, "blocked": ["all-*", "böse"]},
    }
    before, after = added(oauth={"github": GITHUB}), added(oauth=oauth)
    assert {name: value for name, value in after.items() if name not in before} == {
        "ENABLE_OAUTH_ROLE_MANAGEMENT": "True",
        "OAUTH_ROLES_CLAIM": "realm_access.roles",
        "OAUTH_ADMIN_ROLES": "ops",
        "OAUTH_ALLOWED_ROLES": "staff,guests",
        "ENABLE_OAUTH_GROUP_MANAGEMENT": "True",
        "ENABLE_OAUTH_GROUP_CREATION": "True",
        "OAUTH_GROUPS_CLAIM": "groups",
        "OAUTH_BLOCKED_GROUPS": '["all-*", "böse"]',
    }


def test_the_separator_applies_to_the_claim_and_to_the_lists_of_roles() -> None:
    roles = {"allowed": ["a,b", "c"], "admin": ["d,e"], "separator": "|"}
    variables = added(oauth={"github": GITHUB, "roles": roles, "groups": {"separator": ","}})
    assert variables["OAUTH_ROLES_SEPARATOR"] == "|"
    assert (variables["OAUTH_ALLOWED_ROLES"], variables["OAUTH_ADMIN_ROLES"]) == ("a,b|c", "d,e")
    assert variables["OAUTH_GROUPS_SEPARATOR"] == ","


def test_a_public_client_needs_no_secret() -> None:
    oidc = {"providerUrl": DISCOVERY, "clientId": "airis", "codeChallengeMethod": "S256"}
    variables = added(oauth={"oidc": oidc})
    assert variables["OAUTH_CODE_CHALLENGE_METHOD"] == "S256"
    assert "OAUTH_CLIENT_SECRET" not in variables


def test_auto_redirect_with_a_single_provider() -> None:
    variables = added(loginForm=False, oauth={"oidc": OIDC, "autoRedirect": True})
    assert (variables["OAUTH_AUTO_REDIRECT"], variables["ENABLE_LOGIN_FORM"]) == ("True", "False")


def test_ldap_with_every_setting() -> None:
    ldap = {
        **LDAP,
        "port": 3269,
        "caFile": "/certs/ldap.pem",
        "label": "Example AD",
        "appDn": "cn=airis,dc=example,dc=com",
        "passwordFrom": SECRET,
        "searchFilter": "(&(objectClass=person)(!(disabled=1)))",
        "usernameAttribute": "sAMAccountName",
        "mailAttribute": "userPrincipalName",
        "defaultEmailDomain": "example.com",
        "groups": {"attribute": "memberOf", "create": True},
    }
    assert added(ldap=ldap) == {
        "ENABLE_LDAP": "True",
        "LDAP_SERVER_HOST": "ldap.example.com",
        "LDAP_SERVER_PORT": "3269",
        "LDAP_USE_TLS": "True",
        "LDAP_VALIDATE_CERT": "True",
        "LDAP_CA_CERT_FILE": "/certs/ldap.pem",
        "LDAP_SERVER_LABEL": "Example AD",
        "LDAP_APP_DN": "cn=airis,dc=example,dc=com",
        "LDAP_APP_PASSWORD": REFERENCE,
        "LDAP_SEARCH_BASE": "ou=people,dc=example,dc=com",
        "LDAP_SEARCH_FILTER": "(&(objectClass=person)(!(disabled=1)))",
        "LDAP_ATTRIBUTE_FOR_USERNAME": "sAMAccountName",
        "LDAP_ATTRIBUTE_FOR_MAIL": "userPrincipalName",
        "LDAP_DEFAULT_EMAIL_DOMAIN": "example.com",
        "ENABLE_LDAP_GROUP_MANAGEMENT": "True",
        "ENABLE_LDAP_GROUP_CREATION": "True",
        "LDAP_ATTRIBUTE_FOR_GROUPS": "memberOf",
    }


@pytest.mark.parametrize(("tls", "port"), [(True, "636"), (False, "389")])
def test_the_ldap_port_is_derived_from_tls(tls: bool, port: str) -> None:
    variables = added(ldap={**LDAP, "tls": tls})
    assert (variables["LDAP_USE_TLS"], variables["LDAP_SERVER_PORT"]) == (str(tls), port)
    assert "LDAP_APP_DN" not in variables


def test_trusted_header_variables() -> None:
    headers = {**HEADER, "name": "X-Forwarded-User", "groups": "X-Forwarded-Groups", "role": "X-Role"}
    assert added(trustedHeader=headers) == {
        "WEBUI_AUTH_TRUSTED_EMAIL_HEADER": "X-Forwarded-Email",
        "WEBUI_AUTH_TRUSTED_NAME_HEADER": "X-Forwarded-User",
        "WEBUI_AUTH_TRUSTED_GROUPS_HEADER": "X-Forwarded-Groups",
        "WEBUI_AUTH_TRUSTED_ROLE_HEADER": "X-Role",
    }


def test_clients_that_could_impersonate_users_are_warned_of() -> None:
    trusted = {"auth": {"trustedHeader": HEADER}}
    (told,) = warnings(webui=trusted)
    assert "airis:network.ingressNamespaces" in told
    (told,) = warnings(webui=trusted, network={"policies": False})
    assert "every pod in the cluster" in told
    assert warnings() == warnings(webui={"auth": {"ldap": LDAP, "oauth": {"oidc": OIDC}}}) == []


@pytest.mark.parametrize("loose", [{"tls": False}, {"validateCertificate": False}])
def test_ldap_passwords_that_can_be_intercepted_are_warned_of(loose: dict[str, bool]) -> None:
    (told,) = warnings(webui={"auth": {"ldap": {**LDAP, **loose}}})
    assert "passwords can be intercepted" in told


def test_authentication_can_be_disabled() -> None:
    assert added(enabled=False) == {"WEBUI_AUTH": "False"}


@pytest.mark.parametrize(
    "auth",
    [
        {"loginForm": False, "ldap": LDAP},
        {"loginForm": False, "trustedHeader": HEADER},
        {"loginForm": False, "oauth": {"oidc": OIDC}},
        {"passwordAuth": False, "oauth": {"oidc": OIDC}},
        {"passwordAuth": True, "ldap": LDAP, "trustedHeader": HEADER, "oauth": {"oidc": OIDC}},
        {"enabled": True, "ldap": LDAP},
        {"jwtExpiresIn": "-1"},
        {"jwtExpiresIn": "1.5h"},
        {"jwtExpiresIn": "60s"},
        {"ldap": {**LDAP, "port": 389, "tls": False}},
        {"ldap": {**LDAP, "searchFilter": "(uid=*)"}},
        {"trustedHeader": {**HEADER, "name": "X-Name"}},
    ],
    ids=str,
)
def test_similar_valid_settings_are_accepted(auth: dict[str, Any]) -> None:
    assert program.run(stack_of(webui={"auth": auth})).objects


@pytest.mark.parametrize("settings", [{"ingress": {"host": "chat.example.com"}}, {"production": True}])
def test_settings_accepted_in_production(settings: dict[str, Any]) -> None:
    auth = {"enabled": True, "jwtExpiresIn": "7d", "ldap": LDAP, "trustedHeader": HEADER}
    images = {"webui": {"image": "airis:1.2.3", "auth": auth}}
    assert program.run(stack_of(**images, **settings)).objects


NOBODY = "true, or also set oauth: LDAP and the trusted header count as password sign-in"
PATTERNS = [
    ("jwtExpiresIn: 4 weeks", "jwtExpiresIn", '"4 weeks"', "a duration such as 12h"),
    ("jwtExpiresIn: 30s", "jwtExpiresIn", '"30s"', "at least 1m"),
    ("jwtExpiresIn: '0'", "jwtExpiresIn", '"0"', '"-1" for no end'),
    ("jwtExpiresIn: 4x2d", "jwtExpiresIn", '"4x2d"', "a duration such as 12h"),
    ("jwtExpiresIn: -2d", "jwtExpiresIn", '"-2d"', "a duration such as 12h"),
    ("defaultRole: admin", "defaultRole", '"admin"', "one of 'pending' or 'user'"),
    ("firstAdmin: {email: admin, passwordFrom: <S>}", "firstAdmin.email", '"admin"', "an e-mail address such as"),
    ("firstAdmin: {email: a@b.c}", "firstAdmin.passwordFrom", "nothing", "a value: this key is required"),
    ("firstAdmin: {email: a@b.c, passwordFrom: hunter2}", "firstAdmin.passwordFrom", "[not shown]", "keys and values"),
    ("firstAdmin: {email: a@b.c, name: 'a ', passwordFrom: <S>}", "firstAdmin.name", '"a "', "a text of one line"),
    ("firstAdmin: {email: a@b.c, name: '$(HOME)', passwordFrom: <S>}", "firstAdmin.name", '"$(HOME)"', "$( and $$"),
    ("trustedHeader: {email: X_Email}", "trustedHeader.email", '"X_Email"', "an HTTP header such as X-Forwarded-Email"),
    (
        "oauth: {oidc: {<OIDC>, scopes: [openid email]}}",
        "oauth.oidc.scopes[0]",
        '"openid email"',
        "a word, without spaces",
    ),
    (
        "oauth: {oidc: {<CLIENT>, providerUrl: 'https://id.example.com/realms/a'}}",
        "oauth.oidc.providerUrl",
        '"https://id.example.com/realms/a"',
        "which ends in /.well-known/openid-configuration",
    ),
    (
        "oauth: {oidc: {<OIDC>, redirectUri: 'https://chat.example.com/oauth/google/callback'}}",
        "oauth.oidc.redirectUri",
        '"https://chat.example.com/oauth/google/callback"',
        "a URL such as https://chat.example.com/oauth/oidc/login/callback",
    ),
    (
        "oauth: {github: {<CLIENT>, redirectUri: chat.example.com/oauth/github/callback}}",
        "oauth.github.redirectUri",
        '"chat.example.com/oauth/github/callback"',
        "a URL such as https://chat.example.com/oauth/github/login/callback",
    ),
    ("oauth: {google: {clientId: a}}", "oauth.google.clientSecretFrom", "nothing", "this key is required"),
    ("oauth: {microsoft: {<CLIENT>}}", "oauth.microsoft.tenantId", "nothing", "this key is required"),
    (
        "oauth: {microsoft: {<CLIENT>, tenantId: 'https://x'}}",
        "oauth.microsoft.tenantId",
        '"https://x"',
        "a tenant: its ID",
    ),
    (
        "oauth: {github: {<CLIENT>}, allowedDomains: ['@Example.com']}",
        "oauth.allowedDomains[0]",
        '"@Example.com"',
        "a domain such as example.com",
    ),
    (
        "ldap: {host: 'ldaps://a', searchBase: b}",
        "ldap.host",
        '"ldaps://a"',
        "a host name or an IPv4 address, without scheme",
    ),
    ("ldap: {<LDAP>, port: 0}", "ldap.port", "0", "a whole number, at least 1"),
    ("ldap: {<LDAP>, searchFilter: uid=a}", "ldap.searchFilter", '"uid=a"', "one LDAP filter in parentheses"),
    ("ldap: {<LDAP>, searchFilter: (a=b)(c=d)}", "ldap.searchFilter", '"(a=b)(c=d)"', "one LDAP filter in parentheses"),
    ("ldap: {<LDAP>, searchFilter: '(&(a=b)'}", "ldap.searchFilter", '"(&(a=b)"', "one LDAP filter in parentheses"),
    ("ldap: {<LDAP>, mailAttribute: 'e mail'}", "ldap.mailAttribute", '"e mail"', "an LDAP attribute such as mail"),
    ("ldap: {<LDAP>, caFile: ca.pem}", "ldap.caFile", '"ca.pem"', "an absolute path of a file"),
]
RULES = [
    ("passwordAuth: false", "passwordAuth", "false", NOBODY),
    ("passwordAuth: false, ldap: {<LDAP>}", "passwordAuth", "false", NOBODY),
    ("passwordAuth: false, trustedHeader: {email: X-Email}", "passwordAuth", "false", NOBODY),
    (
        "passwordAuth: false, oauth: {github: {<CLIENT>}}, ldap: {<LDAP>}",
        "passwordAuth",
        "false",
        "true, because ldap would be disabled along with passwords",
    ),
    ("loginForm: false", "loginForm", "false", "true, or also set oauth, ldap or trustedHeader"),
    ("enabled: false, ldap: {<LDAP>}", "enabled", "false", "true, because authentication is configured"),
    (
        "enabled: false, firstAdmin: {email: a@b.c, passwordFrom: <S>}",
        "enabled",
        "false",
        "true, because authentication is configured",
    ),
    ("oauth: {signUp: true}", "oauth.oidc", "null (the default)", "a provider: this one, google"),
    (
        f"oauth: {{oidc: {{providerUrl: '{DISCOVERY}', clientId: a}}}}",
        "oauth.oidc.clientSecretFrom",
        "null (the default)",
        "or codeChallengeMethod S256 for a public client",
    ),
    ("oauth: {oidc: {<OIDC>, scopes: [email]}}", "oauth.oidc.scopes", '["email"]', "also openid"),
    ("oauth: {google: {<CLIENT>, scopes: [email]}}", "oauth.google.scopes", '["email"]', "also openid"),
    (
        "oauth: {microsoft: {<CLIENT>, tenantId: a, scopes: [email]}}",
        "oauth.microsoft.scopes",
        '["email"]',
        "also openid",
    ),
    (
        "oauth: {microsoft: {<CLIENT>, tenantId: a, loginBaseUrl: 'https://login.example.com/'}}",
        "oauth.microsoft.loginBaseUrl",
        '"https://login.example.com/"',
        "a URL without a trailing /",
    ),
    (
        "oauth: {github: {<CLIENT>}, allowedDomains: [a.com, a.com]}",
        "oauth.allowedDomains[1]",
        '"a.com"',
        "each domain once",
    ),
    (
        "oauth: {github: {<CLIENT>}, roles: {allowed: ['a,b']}}",
        "oauth.roles.allowed[0]",
        '"a,b"',
        "a role without ,; or another separator",
    ),
    (
        "oauth: {github: {<CLIENT>}, roles: {admin: ['*']}}",
        "oauth.roles.admin[0]",
        '"*"',
        "a role: * is not supported here",
    ),
    (
        "oauth: {github: {<CLIENT>}, roles: {separator: ' '}}",
        "oauth.roles.separator",
        '" "',
        "a character other than $ and a space",
    ),
    (
        "oauth: {github: {<CLIENT>}, autoRedirect: true}",
        "oauth.autoRedirect",
        "true",
        "only with loginForm: false, and without ldap",
    ),
    (
        "loginForm: false, oauth: {github: {<CLIENT>}, google: {<CLIENT>}, autoRedirect: true}",
        "oauth.autoRedirect",
        "true",
        "false, because there are several providers",
    ),
    (
        "loginForm: false, ldap: {<LDAP>}, oauth: {github: {<CLIENT>}, autoRedirect: true}",
        "oauth.autoRedirect",
        "true",
        "only with loginForm: false, and without ldap",
    ),
    ("ldap: {<LDAP>, appDn: cn=a}", "ldap.appDn", '"cn=a"', "together with passwordFrom, or neither"),
    ("ldap: {<LDAP>, port: 389}", "ldap.port", "389", "636 or another port for TLS"),
    ("ldap: {<LDAP>, port: 636, tls: false}", "ldap.port", "636", "tls: true on this port"),
    (
        "ldap: {<LDAP>, validateCertificate: false, caFile: /ca.pem}",
        "ldap.caFile",
        '"/ca.pem"',
        "only with tls and validateCertificate",
    ),
    (
        "trustedHeader: {email: X-Email, name: x-email}",
        "trustedHeader.name",
        '"x-email"',
        "another header than email's",
    ),
]


@pytest.mark.parametrize(("config", "key", "given", "allowed"), [*PATTERNS, *RULES])
def test_invalid_settings_are_refused(config: str, key: str, given: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:webui: {{auth: {{{written(config)}}}}}")
    assert said.startswith("Pulumi.test.yaml: 1 setting is wrong"), said
    assert f"  airis:webui.auth.{key}\n    given    {given}\n" in said
    assert allowed in said


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
@pytest.mark.parametrize(
    ("auth", "key", "allowed"),
    [
        ("trustedHeader: {email: X-Email}", "trustedHeader", "clients that bypass the proxy could send the header"),
        ("enabled: false", "enabled", "true, or service.type ClusterIP"),
    ],
)
def test_refused_with_a_service_that_bypasses_the_proxy(
    kind: str, auth: str, key: str, allowed: str, refuse: Refuse
) -> None:
    said = refuse(f"airis:webui: {{service: {{type: {kind}}}, auth: {{{auth}}}}}")
    assert f"  airis:webui.auth.{key}\n" in said
    assert allowed in said


@pytest.mark.parametrize(
    ("way", "allowed"),
    [
        ("airis:ingress: {host: chat.example.com}", "true, or no ingress.host"),
        ("airis:gateway: {hosts: [chat.example.com], parentRefs: [{name: public}]}", "true, or no gateway"),
    ],
)
def test_disabled_authentication_is_refused_with_ingress_or_gateway(way: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"{way}\nairis:webui: {{auth: {{enabled: false}}}}")
    assert "  airis:webui.auth.enabled\n    given    false\n" in said
    assert allowed in said


@pytest.mark.parametrize(
    ("auth", "key", "allowed"),
    [
        ("enabled: false", "enabled", "true, because this stack is production"),
        ("jwtExpiresIn: '-1'", "jwtExpiresIn", "a duration that ends, because this stack is production"),
        ("ldap: {<LDAP>, tls: false}", "ldap.tls", "true, because this stack is production"),
        (
            "ldap: {<LDAP>, validateCertificate: false}",
            "ldap.validateCertificate",
            "true, because this stack is production",
        ),
    ],
)
def test_refused_in_production(auth: str, key: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:production: true\nairis:webui: {{image: 'airis:1.2.3', auth: {{{written(auth)}}}}}")
    assert said.startswith("Pulumi.test.yaml: 1 setting is wrong"), said
    assert f"  airis:webui.auth.{key}\n" in said
    assert allowed in said


def test_variables_of_settings_are_refused_in_env(refuse: Refuse) -> None:
    said = refuse("airis:webui: {env: {ENABLE_SIGNUP: 'False', LDAP_SERVER_PORT: '1', OAUTH_ROLES_SEPARATOR: ';'}}")
    assert "another name: airis sets this one itself, from airis:webui.auth.signUp" in said
    assert "another name: airis sets this one itself, from airis:webui.auth.ldap" in said
    assert "another name: airis sets this one itself, from airis:webui.auth.oauth.roles" in said
