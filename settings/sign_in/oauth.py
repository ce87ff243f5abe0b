"""Settings of signing in through an OAuth or OpenID Connect provider.

Open WebUI 0.12.4 reads all of these from the environment at every start: `oauth.*` is not kept in its database unless
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
        yield Broken("scopes", list(scopes), f"also {_OPENID}, without which there is no ID token")


class OidcSettings(VariableSettings):
    """Any provider that speaks OpenID Connect: Keycloak, Authentik, Okta, Dex, ..."""

    provider_url: Annotated[DiscoveryUrl, Variable("OPENID_PROVIDER_URL")]
    """URL of the discovery document, such as `https://id.example.com/realms/a/.well-known/openid-configuration`."""
    client_id: Annotated[Text, Variable("OAUTH_CLIENT_ID")]
    """ID of the client at the provider."""
    client_secret_from: Annotated[SecretKeyRef | None, Variable("OAUTH_CLIENT_SECRET")] = None
    """An existing Secret with the client's secret; null for a public client, which needs `codeChallengeMethod`."""
    code_challenge_method: Annotated[Literal["S256"] | None, Variable("OAUTH_CODE_CHALLENGE_METHOD")] = None
    """`S256` proves with each sign-in that it is the same browser (PKCE); null for none. It holds for all providers."""
    token_endpoint_auth_method: Annotated[
        Literal["client_secret_basic", "client_secret_post", "none"] | None,
        Variable("OAUTH_TOKEN_ENDPOINT_AUTH_METHOD"),
    ] = None
    """How the client proves itself to the provider; null for `client_secret_basic`."""
    provider_name: Annotated[Text | None, Variable("OAUTH_PROVIDER_NAME")] = None
    """What the button on the sign-in page says; null for `SSO`."""
    scopes: Annotated[tuple[Word, ...], Variable("OAUTH_SCOPES", separator=" ")] = ()
    """What is asked for; an empty list for `openid email profile`."""
    redirect_uri: Annotated[
        Annotated[str, AfterValidator(callback("oidc"))] | None,
        Variable("OPENID_REDIRECT_URI"),
    ] = None
    """URL to which the provider sends people back, as registered there: `https://<host>/oauth/oidc/login/callback`. Null
    makes it from each request."""

    def rules(self) -> Iterator[Broken]:
        """Without a secret or a challenge, Open WebUI would not offer the provider, without a word."""
        yield from _openid_among(self.scopes)
        if self.client_secret_from is None and self.code_challenge_method is None:
            allowed = "a reference to an existing Secret, or codeChallengeMethod S256 for a public client"
            yield Broken("clientSecretFrom", None, allowed, ("codeChallengeMethod",))


class GoogleSettings(VariableSettings):
    """Google."""

    client_id: Annotated[Text, Variable("GOOGLE_CLIENT_ID")]
    """ID of the OAuth client."""
    client_secret_from: Annotated[SecretKeyRef, Variable("GOOGLE_CLIENT_SECRET")]
    """An existing Secret with the client's secret."""
    scopes: Annotated[tuple[Word, ...], Variable("GOOGLE_OAUTH_SCOPE", separator=" ")] = ()
    """What is asked for; an empty list for `openid email profile`."""
    redirect_uri: Annotated[
        Annotated[str, AfterValidator(callback("google"))] | None,
        Variable("GOOGLE_REDIRECT_URI"),
    ] = None
    """URL as registered: `https://<host>/oauth/google/login/callback`. Null makes it from each request."""

    def rules(self) -> Iterator[Broken]:
        """Google is an OpenID provider."""
        yield from _openid_among(self.scopes)


class MicrosoftSettings(VariableSettings):
    """Microsoft Entra ID."""

    client_id: Annotated[Text, Variable("MICROSOFT_CLIENT_ID")]
    """ID of the application."""
    client_secret_from: Annotated[SecretKeyRef, Variable("MICROSOFT_CLIENT_SECRET")]
    """An existing Secret with the application's secret."""
    tenant_id: Annotated[Tenant, Variable("MICROSOFT_CLIENT_TENANT_ID")]
    """ID or domain of the tenant. Without one, Open WebUI would not offer Microsoft at all."""
    login_base_url: Annotated[HttpUrl | None, Variable("MICROSOFT_CLIENT_LOGIN_BASE_URL")] = None
    """Where a national cloud signs in; null for `https://login.microsoftonline.com`."""
    scopes: Annotated[tuple[Word, ...], Variable("MICROSOFT_OAUTH_SCOPE", separator=" ")] = ()
    """What is asked for; an empty list for `openid email profile`."""
    redirect_uri: Annotated[
        Annotated[str, AfterValidator(callback("microsoft"))] | None,
        Variable("MICROSOFT_REDIRECT_URI"),
    ] = None
    """URL as registered: `https://<host>/oauth/microsoft/login/callback`. Null makes it from each request."""

    def rules(self) -> Iterator[Broken]:
        """Entra ID is an OpenID provider."""
        yield from _openid_among(self.scopes)
        if self.login_base_url is not None and self.login_base_url.endswith("/"):
            yield Broken("loginBaseUrl", self.login_base_url, "a URL without final /")


class GitHubSettings(VariableSettings):
    """GitHub, github.com. GitHub Enterprise Server has no place in Open WebUI 0.12.4."""

    client_id: Annotated[Text, Variable("GITHUB_CLIENT_ID")]
    """ID of the OAuth app."""
    client_secret_from: Annotated[SecretKeyRef, Variable("GITHUB_CLIENT_SECRET")]
    """An existing Secret with the app's secret."""
    scopes: Annotated[tuple[Word, ...], Variable("GITHUB_CLIENT_SCOPE", separator=" ")] = ()
    """What is asked for; an empty list for `user:email`."""
    redirect_uri: Annotated[
        Annotated[str, AfterValidator(callback("github"))] | None,
        Variable("GITHUB_CLIENT_REDIRECT_URI"),
    ] = None
    """URL as registered: `https://<host>/oauth/github/login/callback`. Null makes it from each request."""


class OAuthRolesSettings(VariableSettings):
    """Roles from the provider: at each sign-in, who is administrator, who is user, and who is sent away."""

    DERIVED: ClassVar = frozenset(
        {"ENABLE_OAUTH_ROLE_MANAGEMENT", "OAUTH_ADMIN_ROLES", "OAUTH_ALLOWED_ROLES", "OAUTH_ROLES_SEPARATOR"}
    )

    claim: Annotated[Text | None, Variable("OAUTH_ROLES_CLAIM")] = None
    """Where the roles are among the claims, with dots between levels: `resource_access.chat.roles`; null for `roles`."""
    admin: tuple[Text, ...] = ()
    """Roles that make an administrator; an empty list for `admin`."""
    allowed: tuple[Text, ...] = ()
    """Roles that make a user, or `*` for any; an empty list for `user` and `admin`. Who has roles, but none of these and none
    of `admin`, is sent away. Who has no role at all keeps the role from before, or gets `defaultRole`."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What stands between roles where the claim is one text; null for a comma."""

    def derived(self) -> Mapping[str, Value]:
        """Both lists are split by the same separator as the claim (open_webui/config.py)."""
        lists = {"OAUTH_ADMIN_ROLES": self.admin, "OAUTH_ALLOWED_ROLES": self.allowed}
        return {
            "ENABLE_OAUTH_ROLE_MANAGEMENT": "True",
            **({"OAUTH_ROLES_SEPARATOR": self.separator} if self.separator else {}),
            **{name: (self.separator or ",").join(roles) for name, roles in lists.items() if roles},
        }

    def rules(self) -> Iterator[Broken]:
        """A role with the separator in it would become two."""
        if self.separator in ("$", " "):
            yield Broken("separator", self.separator, "a character other than $ and a space")
        for key, roles in (("admin", self.admin), ("allowed", self.allowed)):
            for index, role in enumerate(roles):
                if (self.separator or ",") in role:
                    allowed = f"a role without {self.separator or ','}; or another separator"
                    yield Broken(f"{key}.{index}", role, allowed, ("separator",))
        for index, role in enumerate(self.admin):
            if role == "*":
                yield Broken(f"admin.{index}", role, "a role: * has no meaning among the administrators'")


class OAuthGroupsSettings(VariableSettings):
    """Groups from the provider: at each sign-in, people join and leave the groups of the same names."""

    DERIVED: ClassVar = frozenset({"ENABLE_OAUTH_GROUP_MANAGEMENT", "OAUTH_BLOCKED_GROUPS"})

    claim: Annotated[Text | None, Variable("OAUTH_GROUPS_CLAIM")] = None
    """Where the groups are among the claims, with dots between levels; null for `groups`."""
    create: Annotated[StrictBool, Variable("ENABLE_OAUTH_GROUP_CREATION")] = False
    """Whether groups that are missing are made."""
    blocked: tuple[Text, ...] = ()
    """Groups that are left alone: names, with `*` and `?`, or regular expressions."""
    separator: Annotated[Annotated[str, Field(min_length=1)] | None, Variable("OAUTH_GROUPS_SEPARATOR")] = None
    """What stands between groups where the claim is one text; null for a semicolon."""

    def derived(self) -> Mapping[str, Value]:
        """The blocked ones are a list in JSON (open_webui/utils/oauth.py, _parse_blocked_groups)."""
        blocked = {"OAUTH_BLOCKED_GROUPS": json.dumps(self.blocked, ensure_ascii=False)} if self.blocked else {}
        return {"ENABLE_OAUTH_GROUP_MANAGEMENT": "True", **blocked}


class OAuthSettings(Settings):
    """Signing in through a provider. What is not persisted by Open WebUI: these settings hold at every start."""

    oidc: OidcSettings | None = None
    """A provider that speaks OpenID Connect."""
    google: GoogleSettings | None = None
    """Google."""
    microsoft: MicrosoftSettings | None = None
    """Microsoft Entra ID."""
    github: GitHubSettings | None = None
    """GitHub."""
    sign_up: Annotated[StrictBool | None, Variable("ENABLE_OAUTH_SIGNUP")] = None
    """Whether people get an account at their first sign-in; null for no. It does not depend on `auth.signUp`."""
    merge_accounts_by_email: Annotated[StrictBool | None, Variable("OAUTH_MERGE_ACCOUNTS_BY_EMAIL")] = None
    """Whether somebody takes over the account that has the same e-mail address; null for no. Only for providers that
    verify addresses: with any other, people could take over accounts that are not theirs."""
    auto_redirect: Annotated[StrictBool | None, Variable("OAUTH_AUTO_REDIRECT")] = None
    """Whether the sign-in page goes on to the provider at once. For one provider, with `auth.loginForm: false`."""
    allowed_domains: Annotated[tuple[Domain, ...], Variable("OAUTH_ALLOWED_DOMAINS", separator=",")] = ()
    """Domains of e-mail addresses that may sign in; an empty list for any."""
    email_claim: Annotated[Text | None, Variable("OAUTH_EMAIL_CLAIM")] = None
    """The claim with the e-mail address; null for `email`."""
    username_claim: Annotated[Text | None, Variable("OAUTH_USERNAME_CLAIM")] = None
    """The claim with the name to show; null for `name`."""
    picture_claim: Annotated[Text | None, Variable("OAUTH_PICTURE_CLAIM")] = None
    """The claim with the URL of a picture; null for `picture`."""
    sub_claim: Annotated[Text | None, Variable("OAUTH_SUB_CLAIM")] = None
    """The claim that tells people apart for ever; null for `sub` (GitHub: `id`). Changing it makes new accounts."""
    update_name_on_login: Annotated[StrictBool | None, Variable("OAUTH_UPDATE_NAME_ON_LOGIN")] = None
    """Whether the name follows the provider at each sign-in; null for no."""
    update_email_on_login: Annotated[StrictBool | None, Variable("OAUTH_UPDATE_EMAIL_ON_LOGIN")] = None
    """Whether the e-mail address does."""
    update_picture_on_login: Annotated[StrictBool | None, Variable("OAUTH_UPDATE_PICTURE_ON_LOGIN")] = None
    """Whether the picture does."""
    end_session_endpoint: Annotated[HttpUrl | None, Variable("OPENID_END_SESSION_ENDPOINT")] = None
    """URL that ends the session at the provider too; null takes it from OIDC's discovery document. Google, Microsoft and
    GitHub without `oidc` have none."""
    roles: OAuthRolesSettings | None = None
    """Roles from the provider; null leaves them to `auth.defaultRole` and the administrators."""
    groups: OAuthGroupsSettings | None = None
    """Groups from the provider; null leaves them to the administrators."""

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that are set, by their keys, which are Open WebUI's own names for them."""
        return tuple(name for name in ("oidc", "google", "microsoft", "github") if getattr(self, name) is not None)

    def rules(self) -> Iterator[Broken]:
        """Without a provider the rest has no effect."""
        if not self.providers:
            keys = ("google", "microsoft", "github")
            yield Broken("oidc", None, "a provider: this one, google, microsoft or github; or oauth: null", keys)
        for index, domain in enumerate(self.allowed_domains):
            if domain in self.allowed_domains[:index]:
                yield Broken(f"allowedDomains.{index}", domain, "each domain once")
