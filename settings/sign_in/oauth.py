"""Settings of authentication by OAuth or OpenID Connect.

Open WebUI 0.12.4 reads these from the environment at every start: `oauth.*` is not kept in its database unless
`ENABLE_OAUTH_PERSISTENT_CONFIG` is true (open_webui/models/config.py, persistent_enabled_for).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StrictBool

from settings.types.base import Broken, Settings
from settings.types.names import HttpUrl
from settings.types.open_webui import DiscoveryUrl, Domain, Tenant, Text, Word, callback
from settings.types.references import SecretKeyRef
from settings.types.variables import Value, Variable, VariableSettings

_OPENID = "openid"


def _openid_among(scopes: tuple[str, ...]) -> Iterator[Broken]:
    if scopes and _OPENID not in scopes:
        yield Broken("scopes", list(scopes), f"also {_OPENID}, which is required for an ID token")


class OidcSettings(VariableSettings):
    """An OpenID Connect provider: Keycloak, Authentik, Okta, Dex, ..."""

    provider_url: Annotated[DiscoveryUrl, Variable("OPENID_PROVIDER_URL")]
    """URL of the discovery document, such as `https://id.example.com/realms/a/.well-known/openid-configuration`."""
    client_id: Annotated[Text, Variable("OAUTH_CLIENT_ID")]
    """Client ID."""
    client_secret_from: Annotated[SecretKeyRef | None, Variable("OAUTH_CLIENT_SECRET")] = None
    """Reference to an existing Secret with the client secret; null for a public client, which requires
    `codeChallengeMethod`."""
    code_challenge_method: Annotated[Literal["S256"] | None, Variable("OAUTH_CODE_CHALLENGE_METHOD")] = None
    """Code challenge method (PKCE): `S256`, or null for none. Applies to all providers."""
    token_endpoint_auth_method: Annotated[
        Literal["client_secret_basic", "client_secret_post", "none"] | None,
        Variable("OAUTH_TOKEN_ENDPOINT_AUTH_METHOD"),
    ] = None
    """Client authentication at the token endpoint; null for `client_secret_basic`."""
    provider_name: Annotated[Text | None, Variable("OAUTH_PROVIDER_NAME")] = None
    """Label of the button on the sign-in page; null for `SSO`."""
    scopes: Annotated[tuple[Word, ...], Variable("OAUTH_SCOPES", separator=" ")] = ()
    """Scopes to request; an empty list for `openid email profile`."""
    redirect_uri: Annotated[
        Annotated[str, AfterValidator(callback("oidc"))] | None,
        Variable("OPENID_REDIRECT_URI"),
    ] = None
    """Redirect URI, as registered with the provider: `https://<host>/oauth/oidc/login/callback`. Null derives it from each
    request."""

    def rules(self) -> Iterator[Broken]:
        """Without a secret or a code challenge, Open WebUI silently omits the provider."""
        yield from _openid_among(self.scopes)
        if self.client_secret_from is None and self.code_challenge_method is None:
            allowed = "a reference to an existing Secret, or codeChallengeMethod S256 for a public client"
            yield Broken("clientSecretFrom", None, allowed, ("codeChallengeMethod",))


class GoogleSettings(VariableSettings):
    """Google."""

    client_id: Annotated[Text, Variable("GOOGLE_CLIENT_ID")]
    """Client ID of the OAuth client."""
    client_secret_from: Annotated[SecretKeyRef, Variable("GOOGLE_CLIENT_SECRET")]
    """Reference to an existing Secret with the client secret."""
    scopes: Annotated[tuple[Word, ...], Variable("GOOGLE_OAUTH_SCOPE", separator=" ")] = ()
    """Scopes to request; an empty list for `openid email profile`."""
    redirect_uri: Annotated[
        Annotated[str, AfterValidator(callback("google"))] | None,
        Variable("GOOGLE_REDIRECT_URI"),
    ] = None
    """Redirect URI, as registered: `https://<host>/oauth/google/login/callback`. Null derives it from each request."""

    def rules(self) -> Iterator[Broken]:
        """Google is an OpenID provider."""
        yield from _openid_among(self.scopes)


class MicrosoftSettings(VariableSettings):
    """Microsoft Entra ID."""

    client_id: Annotated[Text, Variable("MICROSOFT_CLIENT_ID")]
    """Application (client) ID."""
    client_secret_from: Annotated[SecretKeyRef, Variable("MICROSOFT_CLIENT_SECRET")]
    """Reference to an existing Secret with the client secret."""
    tenant_id: Annotated[Tenant, Variable("MICROSOFT_CLIENT_TENANT_ID")]
    """ID or domain of the tenant. Without one, Open WebUI does not offer Microsoft."""
    login_base_url: Annotated[HttpUrl | None, Variable("MICROSOFT_CLIENT_LOGIN_BASE_URL")] = None
    """Sign-in URL of a national cloud; null for `https://login.microsoftonline.com`."""
    scopes: Annotated[tuple[Word, ...], Variable("MICROSOFT_OAUTH_SCOPE", separator=" ")] = ()
    """Scopes to request; an empty list for `openid email profile`."""
    redirect_uri: Annotated[
        Annotated[str, AfterValidator(callback("microsoft"))] | None,
        Variable("MICROSOFT_REDIRECT_URI"),
    ] = None
    """Redirect URI, as registered: `https://<host>/oauth/microsoft/login/callback`. Null derives it from each request."""

    def rules(self) -> Iterator[Broken]:
        """Entra ID is an OpenID provider."""
        yield from _openid_among(self.scopes)
        if self.login_base_url is not None and self.login_base_url.endswith("/"):
            yield Broken("loginBaseUrl", self.login_base_url, "a URL without a trailing /")


class GitHubSettings(VariableSettings):
    """GitHub (github.com). Open WebUI 0.12.4 does not support GitHub Enterprise Server."""

    client_id: Annotated[Text, Variable("GITHUB_CLIENT_ID")]
    """Client ID of the OAuth app."""
    client_secret_from: Annotated[SecretKeyRef, Variable("GITHUB_CLIENT_SECRET")]
    """Reference to an existing Secret with the client secret."""
    scopes: Annotated[tuple[Word, ...], Variable("GITHUB_CLIENT_SCOPE", separator=" ")] = ()
    """Scopes to request; an empty list for `user:email`."""
    redirect_uri: Annotated[
        Annotated[str, AfterValidator(callback("github"))] | None,
        Variable("GITHUB_CLIENT_REDIRECT_URI"),
    ] = None
    """Redirect URI, as registered: `https://<host>/oauth/github/login/callback`. Null derives it from each request."""


class OAuthRolesSettings(VariableSettings):
    """Roles from the provider. At each sign-in, they decide whether a user is an administrator, a user, or refused."""

    DERIVED: ClassVar = frozenset(
        {"ENABLE_OAUTH_ROLE_MANAGEMENT", "OAUTH_ADMIN_ROLES", "OAUTH_ALLOWED_ROLES", "OAUTH_ROLES_SEPARATOR"}
    )

    claim: Annotated[Text | None, Variable("OAUTH_ROLES_CLAIM")] = None
    """Claim with the roles, with dots between levels: `resource_access.chat.roles`; null for `roles`."""
    admin: tuple[Text, ...] = ()
    """Roles of administrators; an empty list for `admin`."""
    allowed: tuple[Text, ...] = ()
    """Roles of users, or `*` for any role; an empty list for `user` and `admin`. A user whose roles are in neither list is
    refused. A user without roles keeps the current role, or gets `defaultRole`."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Separator of roles, if the claim is a single string; null for a comma."""

    def derived(self) -> Mapping[str, Value]:
        """Both lists are split by the same separator as the claim (open_webui/config.py)."""
        lists = {"OAUTH_ADMIN_ROLES": self.admin, "OAUTH_ALLOWED_ROLES": self.allowed}
        return {
            "ENABLE_OAUTH_ROLE_MANAGEMENT": "True",
            **({"OAUTH_ROLES_SEPARATOR": self.separator} if self.separator else {}),
            **{name: (self.separator or ",").join(roles) for name, roles in lists.items() if roles},
        }

    def rules(self) -> Iterator[Broken]:
        """A role that contains the separator would be split."""
        if self.separator in ("$", " "):
            yield Broken("separator", self.separator, "a character other than $ and a space")
        for key, roles in (("admin", self.admin), ("allowed", self.allowed)):
            for index, role in enumerate(roles):
                if (self.separator or ",") in role:
                    allowed = f"a role without {self.separator or ','}; or another separator"
                    yield Broken(f"{key}.{index}", role, allowed, ("separator",))
        for index, role in enumerate(self.admin):
            if role == "*":
                yield Broken(f"admin.{index}", role, "a role: * is not supported here")


class OAuthGroupsSettings(VariableSettings):
    """Groups from the provider. At each sign-in, users are added to and removed from the groups of the same names."""

    DERIVED: ClassVar = frozenset({"ENABLE_OAUTH_GROUP_MANAGEMENT", "OAUTH_BLOCKED_GROUPS"})

    claim: Annotated[Text | None, Variable("OAUTH_GROUPS_CLAIM")] = None
    """Claim with the groups, with dots between levels; null for `groups`."""
    create: Annotated[StrictBool, Variable("ENABLE_OAUTH_GROUP_CREATION")] = False
    """Create missing groups."""
    blocked: tuple[Text, ...] = ()
    """Groups to ignore: names, with `*` and `?`, or regular expressions."""
    separator: Annotated[Annotated[str, Field(min_length=1)] | None, Variable("OAUTH_GROUPS_SEPARATOR")] = None
    """Separator of groups, if the claim is a single string; null for a semicolon."""

    def derived(self) -> Mapping[str, Value]:
        """Blocked groups are a JSON list (open_webui/utils/oauth.py, _parse_blocked_groups)."""
        blocked = {"OAUTH_BLOCKED_GROUPS": json.dumps(self.blocked, ensure_ascii=False)} if self.blocked else {}
        return {"ENABLE_OAUTH_GROUP_MANAGEMENT": "True", **blocked}


class OAuthSettings(Settings):
    """Authentication by OAuth or OpenID Connect. Open WebUI does not keep these settings in its database: they apply at every
    start.
    """

    oidc: OidcSettings | None = None
    """An OpenID Connect provider."""
    google: GoogleSettings | None = None
    """Google."""
    microsoft: MicrosoftSettings | None = None
    """Microsoft Entra ID."""
    github: GitHubSettings | None = None
    """GitHub."""
    sign_up: Annotated[StrictBool | None, Variable("ENABLE_OAUTH_SIGNUP")] = None
    """Create an account at a user's first sign-in; null for false. Independent of `auth.signUp`."""
    merge_accounts_by_email: Annotated[StrictBool | None, Variable("OAUTH_MERGE_ACCOUNTS_BY_EMAIL")] = None
    """Link a sign-in to the existing account with the same e-mail address; null for false. Use it only with providers that
    verify addresses: otherwise, users can take over the accounts of others."""
    auto_redirect: Annotated[StrictBool | None, Variable("OAUTH_AUTO_REDIRECT")] = None
    """Redirect from the sign-in page to the provider. Requires a single provider and `auth.loginForm: false`."""
    allowed_domains: Annotated[tuple[Domain, ...], Variable("OAUTH_ALLOWED_DOMAINS", separator=",")] = ()
    """E-mail domains that may sign in; an empty list for any domain."""
    email_claim: Annotated[Text | None, Variable("OAUTH_EMAIL_CLAIM")] = None
    """Claim with the e-mail address; null for `email`."""
    username_claim: Annotated[Text | None, Variable("OAUTH_USERNAME_CLAIM")] = None
    """Claim with the display name; null for `name`."""
    picture_claim: Annotated[Text | None, Variable("OAUTH_PICTURE_CLAIM")] = None
    """Claim with the URL of a profile picture; null for `picture`."""
    sub_claim: Annotated[Text | None, Variable("OAUTH_SUB_CLAIM")] = None
    """Claim that permanently identifies a user; null for `sub` (GitHub: `id`). After a change, users get new accounts."""
    update_name_on_login: Annotated[StrictBool | None, Variable("OAUTH_UPDATE_NAME_ON_LOGIN")] = None
    """Update the name from the provider at each sign-in; null for false."""
    update_email_on_login: Annotated[StrictBool | None, Variable("OAUTH_UPDATE_EMAIL_ON_LOGIN")] = None
    """Update the e-mail address from the provider at each sign-in; null for false."""
    update_picture_on_login: Annotated[StrictBool | None, Variable("OAUTH_UPDATE_PICTURE_ON_LOGIN")] = None
    """Update the profile picture from the provider at each sign-in; null for false."""
    end_session_endpoint: Annotated[HttpUrl | None, Variable("OPENID_END_SESSION_ENDPOINT")] = None
    """URL that also ends the session at the provider; null uses the one in the discovery document of `oidc`. Google, Microsoft
    and GitHub have none without `oidc`."""
    roles: OAuthRolesSettings | None = None
    """Roles from the provider; null leaves roles to `auth.defaultRole` and administrators."""
    groups: OAuthGroupsSettings | None = None
    """Groups from the provider; null leaves groups to administrators."""

    @property
    def providers(self) -> tuple[str, ...]:
        """The configured providers, by key; the keys are Open WebUI's names for them."""
        return tuple(name for name in ("oidc", "google", "microsoft", "github") if getattr(self, name) is not None)

    def rules(self) -> Iterator[Broken]:
        """Without a provider, the other settings have no effect."""
        if not self.providers:
            keys = ("google", "microsoft", "github")
            yield Broken("oidc", None, "a provider: this one, google, microsoft or github; or oauth: null", keys)
        for index, domain in enumerate(self.allowed_domains):
            if domain in self.allowed_domains[:index]:
                yield Broken(f"allowedDomains.{index}", domain, "each domain once")
