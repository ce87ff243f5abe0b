"""Settings of who may sign in to the WebUI, and how."""

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
    """The first administrator, made at a start that finds no account at all. Later changes have no effect."""

    email: Annotated[Email, Variable("WEBUI_ADMIN_EMAIL")]
    """E-mail address to sign in with."""
    name: Annotated[Text | None, Variable("WEBUI_ADMIN_NAME")] = None
    """Name to show; null for `Admin`."""
    password_from: Annotated[SecretKeyRef, Variable("WEBUI_ADMIN_PASSWORD")]
    """An existing Secret with the first password."""


class TrustedHeaderSettings(Settings):
    """A proxy in front signs people in, and says in a header who they are. Open WebUI believes whoever sends that header:
    only the proxy may reach the WebUI, and it must take such a header away from what browsers send.
    """

    email: Annotated[HeaderName, Variable("WEBUI_AUTH_TRUSTED_EMAIL_HEADER")]
    """The header with the e-mail address; unknown people get an account."""
    name: Annotated[HeaderName | None, Variable("WEBUI_AUTH_TRUSTED_NAME_HEADER")] = None
    """The header with the name to show, URL-encoded if need be; null for the address."""
    groups: Annotated[HeaderName | None, Variable("WEBUI_AUTH_TRUSTED_GROUPS_HEADER")] = None
    """The header with the groups, commas between them; null leaves groups to the administrators."""
    role: Annotated[HeaderName | None, Variable("WEBUI_AUTH_TRUSTED_ROLE_HEADER")] = None
    """The header with the role, `admin`, `user` or `pending`; null leaves roles to the administrators."""

    def rules(self) -> Iterator[Broken]:
        """One header is for one thing. HTTP does not tell cases apart."""
        seen = {self.email.lower(): "email"}
        for key in ("name", "groups", "role"):
            header: str | None = getattr(self, key)
            if header is not None and (other := seen.setdefault(header.lower(), key)) != key:
                yield Broken(key, header, f"another header than {other}'s", (other,))


class AuthSettings(Settings):
    """Signing in. What stands in Open WebUI's database from the first start on is marked as kept there: later changes of it
    have an effect only with `airis:webui.enablePersistentConfig: false`.
    """

    enabled: Annotated[StrictBool | None, Variable("WEBUI_AUTH")] = None
    """False takes accounts away: whoever reaches the WebUI is its administrator. For a trial on a machine of one's own, on an
    empty volume; refused in production, with an Ingress or a Gateway, and with a Service that is open to the outside."""
    sign_up: Annotated[StrictBool | None, Variable("ENABLE_SIGNUP")] = None
    """Whether people may make themselves an account with a password; null for yes. The first account, the administrator's,
    can always be made, and closes sign-up: for good where configuration is kept in the database, else until the next
    restart. Kept in the database."""
    default_role: Annotated[Literal["pending", "user"] | None, Variable("DEFAULT_USER_ROLE")] = None
    """Role of new accounts: `pending` waits for an administrator; null for `pending`. Kept in the database."""
    login_form: Annotated[StrictBool | None, Variable("ENABLE_LOGIN_FORM")] = None
    """Whether the sign-in page has a form for e-mail address and password; null for yes. It is a matter of looks:
    `/auth?form=true` shows it all the same, and `passwordAuth` decides. Kept in the database."""
    password_auth: Annotated[StrictBool | None, Variable("ENABLE_PASSWORD_AUTH")] = None
    """Whether people may sign in with a password, LDAP and the trusted header included; null for yes. False leaves OAuth."""
    jwt_expires_in: Annotated[Duration | None, Variable("JWT_EXPIRES_IN")] = None
    """How long a session lasts: `12h`, `7d`; null for `4w`. `"-1"` never ends, and is refused in production. Kept in the
    database."""
    first_admin: FirstAdminSettings | None = None
    """The first administrator; null makes it whoever signs up first."""
    oauth: OAuthSettings | None = None
    """Signing in through OAuth or OpenID Connect."""
    ldap: LdapSettings | None = None
    """Signing in with a password that an LDAP server checks."""
    trusted_header: TrustedHeaderSettings | None = None
    """Signing in at a proxy in front."""

    def rules(self) -> Iterator[Broken]:
        """Somebody must be able to sign in. Source: open_webui/routers/auths.py, signin and ldap_auth."""
        ways = {"oauth": self.oauth, "ldap": self.ldap, "trustedHeader": self.trusted_header}
        used = [key for key, way in ways.items() if way is not None]
        if self.password_auth is False and self.oauth is None:
            allowed = "true, or also set oauth: LDAP and the trusted header go the way of passwords"
            yield Broken("passwordAuth", False, allowed, ("oauth",))
        elif self.password_auth is False and used != ["oauth"]:
            allowed = f"true, because {' and '.join(used[1:])} would be refused with passwords"
            yield Broken("passwordAuth", False, allowed, ("ldap", "trustedHeader"))
        if self.login_form is False and not used:
            yield Broken("loginForm", False, "true, or also set oauth, ldap or trustedHeader", tuple(ways))
        if self.enabled is False and (used or self.first_admin is not None):
            allowed = "true, because ways to sign in are set"
            yield Broken("enabled", False, allowed, (*ways, "firstAdmin"))
        if self.oauth is not None and self.oauth.auto_redirect:
            if len(self.oauth.providers) > 1:
                yield Broken("oauth.autoRedirect", True, "false, because there are several providers", ("oauth",))
            elif self.login_form is not False or used != ["oauth"]:
                allowed = "only with loginForm: false, and without ldap and trustedHeader"
                yield Broken("oauth.autoRedirect", True, allowed, ("loginForm", "ldap", "trustedHeader"))

    def open_to(self, service_type: str) -> Iterator[Broken]:
        """What must not be where a Service of this type leads past every proxy; keys are relative to the WebUI."""
        if service_type != "ClusterIP":
            reads = ("service.type",)
            if self.trusted_header is not None:
                allowed = "null, or service.type ClusterIP: past the proxy, anybody could send the header"
                yield Broken("auth.trustedHeader", {"email": self.trusted_header.email}, allowed, reads)
            if self.enabled is False:
                yield Broken("auth.enabled", False, "true, or service.type ClusterIP", reads)

    def in_stack(self, *, production: bool, ways_in: Sequence[str]) -> Iterator[Broken]:
        """What a stack must not have that people depend on, or that is reached from outside; keys are relative to it.

        `ways_in` are the keys of what leads to the WebUI from outside.
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
        """What works, and may surprise later. `policies`: whether NetworkPolicies keep others from the WebUI."""
        if self.trusted_header is not None:
            others = (
                "ingress controllers in airis:network.ingressNamespaces" if policies else "every pod in the cluster"
            )
            yield f"airis:webui.auth.trustedHeader: whoever reaches the WebUI is whom they say they are; {others} can"
        if self.ldap is not None and not (self.ldap.tls and self.ldap.validate_certificate):
            yield "airis:webui.auth.ldap: passwords can be read on their way to the server"
