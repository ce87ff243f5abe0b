"""Settings of authentication in the WebUI."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import StrictBool

from settings.sign_in.ldap import LdapSettings
from settings.sign_in.oauth import OAuthSettings
from settings.types.base import Broken, Settings
from settings.types.open_webui import NEVER, Duration, Email, HeaderName, Text
from settings.types.references import SecretKeyRef
from settings.types.variables import Variable


class FirstAdminSettings(Settings):
    """The first administrator. Created at startup if there is no account yet; later changes have no effect."""

    email: Annotated[Email, Variable("WEBUI_ADMIN_EMAIL")]
    """E-mail address of the account."""
    name: Annotated[Text | None, Variable("WEBUI_ADMIN_NAME")] = None
    """Display name; null for `Admin`."""
    password_from: Annotated[SecretKeyRef, Variable("WEBUI_ADMIN_PASSWORD")]
    """Reference to an existing Secret with the initial password."""


class TrustedHeaderSettings(Settings):
    """Authentication by a proxy in front of the WebUI, which sends the user's identity in a header.

    Open WebUI trusts any client that sends the header: only the proxy may be able to connect to the WebUI, and it must remove
    the header from requests of browsers.
    """

    email: Annotated[HeaderName, Variable("WEBUI_AUTH_TRUSTED_EMAIL_HEADER")]
    """Header with the e-mail address. An account is created for unknown users."""
    name: Annotated[HeaderName | None, Variable("WEBUI_AUTH_TRUSTED_NAME_HEADER")] = None
    """Header with the display name, URL-encoded if necessary; null uses the e-mail address."""
    groups: Annotated[HeaderName | None, Variable("WEBUI_AUTH_TRUSTED_GROUPS_HEADER")] = None
    """Header with the groups, separated by commas; null leaves groups to administrators."""
    role: Annotated[HeaderName | None, Variable("WEBUI_AUTH_TRUSTED_ROLE_HEADER")] = None
    """Header with the role, `admin`, `user` or `pending`; null leaves roles to administrators."""

    def rules(self) -> Iterator[Broken]:
        """Each header has one purpose. HTTP headers are case-insensitive."""
        seen = {self.email.lower(): "email"}
        for key in ("name", "groups", "role"):
            header: str | None = getattr(self, key)
            if header is not None and (other := seen.setdefault(header.lower(), key)) != key:
                yield Broken(key, header, f"another header than {other}'s", (other,))


class AuthSettings(Settings):
    """Authentication and sign-up.

    Settings marked "kept in the database" are stored in Open WebUI's database at the first start. Later changes have an effect
    only with `airis:webui.enablePersistentConfig: false`.
    """

    enabled: Annotated[StrictBool | None, Variable("WEBUI_AUTH")] = None
    """Require sign-in. False disables accounts, so that every user is the administrator. Only for a trial on your own machine,
    with an empty volume; refused in production, with an Ingress or a Gateway, and with a Service that is reachable from
    outside."""
    sign_up: Annotated[StrictBool | None, Variable("ENABLE_SIGNUP")] = None
    """Allow users to create an account with a password; null for true. The first account, the administrator's, can always be
    created, and disables sign-up: permanently if configuration is kept in the database, otherwise until the next restart. Kept
    in the database."""
    default_role: Annotated[Literal["pending", "user"] | None, Variable("DEFAULT_USER_ROLE")] = None
    """Role of new accounts: `pending` requires approval by an administrator; null for `pending`. Kept in the database."""
    login_form: Annotated[StrictBool | None, Variable("ENABLE_LOGIN_FORM")] = None
    """Show the form for e-mail address and password on the sign-in page; null for true. This changes only the page:
    `/auth?form=true` still shows the form, and `passwordAuth` decides whether it works. Kept in the database."""
    password_auth: Annotated[StrictBool | None, Variable("ENABLE_PASSWORD_AUTH")] = None
    """Allow sign-in with a password, which includes LDAP and the trusted header; null for true. False allows only OAuth."""
    jwt_expires_in: Annotated[Duration | None, Variable("JWT_EXPIRES_IN")] = None
    """Lifetime of a session: `12h`, `7d`; null for `4w`. `"-1"` never expires, and is refused in production. Kept in the
    database."""
    first_admin: FirstAdminSettings | None = None
    """The first administrator; null makes it the first user who signs up."""
    oauth: OAuthSettings | None = None
    """Authentication by OAuth or OpenID Connect."""
    ldap: LdapSettings | None = None
    """Authentication by an LDAP server."""
    trusted_header: TrustedHeaderSettings | None = None
    """Authentication by a proxy in front of the WebUI."""

    def rules(self) -> Iterator[Broken]:
        """At least one way to sign in must work. Source: open_webui/routers/auths.py, signin and ldap_auth."""
        ways = {"oauth": self.oauth, "ldap": self.ldap, "trustedHeader": self.trusted_header}
        used = [key for key, way in ways.items() if way is not None]
        if self.password_auth is False and self.oauth is None:
            allowed = "true, or also set oauth: LDAP and the trusted header count as password sign-in"
            yield Broken("passwordAuth", False, allowed, ("oauth",))
        elif self.password_auth is False and used != ["oauth"]:
            allowed = f"true, because {' and '.join(used[1:])} would be disabled along with passwords"
            yield Broken("passwordAuth", False, allowed, ("ldap", "trustedHeader"))
        if self.login_form is False and not used:
            yield Broken("loginForm", False, "true, or also set oauth, ldap or trustedHeader", tuple(ways))
        if self.enabled is False and (used or self.first_admin is not None):
            allowed = "true, because authentication is configured"
            yield Broken("enabled", False, allowed, (*ways, "firstAdmin"))
        if self.oauth is not None and self.oauth.auto_redirect:
            if len(self.oauth.providers) > 1:
                yield Broken("oauth.autoRedirect", True, "false, because there are several providers", ("oauth",))
            elif self.login_form is not False or used != ["oauth"]:
                allowed = "only with loginForm: false, and without ldap and trustedHeader"
                yield Broken("oauth.autoRedirect", True, allowed, ("loginForm", "ldap", "trustedHeader"))

    def open_to(self, service_type: str) -> Iterator[Broken]:
        """Settings that a Service of this type makes unsafe, because it bypasses proxies. Keys are relative to the WebUI."""
        if service_type != "ClusterIP":
            reads = ("service.type",)
            if self.trusted_header is not None:
                allowed = "null, or service.type ClusterIP: clients that bypass the proxy could send the header"
                yield Broken("auth.trustedHeader", {"email": self.trusted_header.email}, allowed, reads)
            if self.enabled is False:
                yield Broken("auth.enabled", False, "true, or service.type ClusterIP", reads)

    def in_stack(self, *, production: bool, ways_in: Sequence[str]) -> Iterator[Broken]:
        """Settings that are refused in production, or if the WebUI is reachable from outside. Keys are relative to the stack.

        `ways_in` are the keys that expose the WebUI to the outside.
        """
        because, reads = "because this stack is production", ("production",)
        if self.enabled is False and production:
            yield Broken("webui.auth.enabled", False, f"true, {because}", reads)
        elif self.enabled is False and ways_in:
            yield Broken("webui.auth.enabled", False, f"true, or no {' and no '.join(ways_in)}", tuple(ways_in))
        if not production:
            return
        if self.jwt_expires_in == NEVER:
            yield Broken("webui.auth.jwtExpiresIn", NEVER, f"a duration that ends, {because}", reads)
        if self.ldap is not None and not self.ldap.tls:
            yield Broken("webui.auth.ldap.tls", False, f"true, {because}", reads)
        elif self.ldap is not None and not self.ldap.validate_certificate:
            yield Broken("webui.auth.ldap.validateCertificate", False, f"true, {because}", reads)

    def warnings(self, *, policies: bool) -> Iterator[str]:
        """Settings that work, but may cause problems later. `policies`: whether NetworkPolicies restrict access to the
        WebUI.
        """
        if self.trusted_header is not None:
            others = (
                "ingress controllers in airis:network.ingressNamespaces" if policies else "every pod in the cluster"
            )
            yield f"airis:webui.auth.trustedHeader: {others} can connect to the WebUI and impersonate any user"
        if self.ldap is not None and not (self.ldap.tls and self.ldap.validate_certificate):
            yield "airis:webui.auth.ldap: passwords can be intercepted on their way to the server"
