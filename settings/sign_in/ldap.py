"""Settings of authentication by an LDAP server.

From the first start on, Open WebUI keeps these in its database, unless `airis:webui.enablePersistentConfig` is false.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field, StrictBool, StrictInt

from settings.types.base import Broken
from settings.types.open_webui import Attribute, Domain, FilePath, LdapFilter, ServerName, Text
from settings.types.references import SecretKeyRef
from settings.types.releases import Supported
from settings.types.variables import Value, Variable, VariableSettings

_PORT = 389
_TLS_PORT = 636


class LdapGroupsSettings(VariableSettings):
    """Groups from the directory. At each sign-in, users are added to and removed from the groups of the same common names."""

    DERIVED: ClassVar = frozenset({"ENABLE_LDAP_GROUP_MANAGEMENT"})

    attribute: Annotated[Attribute | None, Variable("LDAP_ATTRIBUTE_FOR_GROUPS")] = None
    """LDAP attribute with the DNs of the groups; null for `memberOf`."""
    create: Annotated[StrictBool, Variable("ENABLE_LDAP_GROUP_CREATION")] = False
    """Create missing groups."""

    def derived(self) -> Mapping[str, Value]:
        """Enabled if this section is set."""
        return {"ENABLE_LDAP_GROUP_MANAGEMENT": "True"}


class LdapSettings(VariableSettings):
    """An LDAP server or Active Directory. Kept in Open WebUI's database (see `airis:webui.enablePersistentConfig`)."""

    DERIVED: ClassVar = frozenset({"ENABLE_LDAP", "LDAP_SERVER_PORT"})

    host: Annotated[ServerName, Variable("LDAP_SERVER_HOST")]
    """Host name of the server, as in its certificate."""
    port: Annotated[StrictInt, Field(ge=1, le=65535)] | None = None
    """Port of the server; null for 636 with TLS, and 389 without."""
    tls: Annotated[StrictBool, Variable("LDAP_USE_TLS")] = True
    """Use TLS from the start of the connection (LDAPS). Open WebUI does not support StartTLS. False sends passwords in plain
    text, and is refused in production."""
    validate_certificate: Annotated[StrictBool, Variable("LDAP_VALIDATE_CERT")] = True
    """Validate the server's certificate. False allows man-in-the-middle attacks, and is refused in production."""
    ca_file: Annotated[FilePath | None, Variable("LDAP_CA_CERT_FILE")] = None
    """File with the certificate authorities in the container; null for `airis:caBundle`, or else the image's authorities."""
    label: Annotated[Text | None, Variable("LDAP_SERVER_LABEL")] = None
    """Display name of the server; null for `LDAP Server`."""
    app_dn: Annotated[Text | None, Variable("LDAP_APP_DN")] = None
    """DN of the account that searches the directory; null searches anonymously."""
    password_from: Annotated[SecretKeyRef | None, Variable("LDAP_APP_PASSWORD")] = None
    """Reference to an existing Secret with that account's password."""
    search_base: Annotated[Text, Variable("LDAP_SEARCH_BASE")]
    """Base DN of the search for users."""
    search_filter: Annotated[LdapFilter | None, Variable("LDAP_SEARCH_FILTER")] = None
    """Additional LDAP filter for users, in parentheses; null for none."""
    username_attribute: Annotated[Attribute | None, Variable("LDAP_ATTRIBUTE_FOR_USERNAME")] = None
    """LDAP attribute with the user name for sign-in; null for `uid`. For Active Directory: `sAMAccountName`."""
    mail_attribute: Annotated[Attribute | None, Variable("LDAP_ATTRIBUTE_FOR_MAIL")] = None
    """LDAP attribute with the e-mail address; null for `mail`."""
    default_email_domain: Annotated[Domain | None, Variable("LDAP_DEFAULT_EMAIL_DOMAIN"), Supported(since="0.12.4")] = (
        None
    )
    """Domain for the e-mail address of users without one; null refuses their sign-in."""
    groups: LdapGroupsSettings | None = None
    """Groups from the directory; null leaves groups to administrators."""

    def derived(self) -> Mapping[str, Value]:
        """Enabled if this section is set. Open WebUI's default port is 389, with TLS too."""
        port = self.port or (_TLS_PORT if self.tls else _PORT)
        return {"ENABLE_LDAP": "True", "LDAP_SERVER_PORT": str(port)}

    def rules(self) -> Iterator[Broken]:
        """Combinations that cannot work, or would be ignored."""
        if (self.app_dn is None) != (self.password_from is None):
            yield Broken("appDn", self.app_dn, "together with passwordFrom, or neither", ("passwordFrom",))
        if self.port == (_PORT if self.tls else _TLS_PORT):
            allowed = f"{_TLS_PORT} or another port for TLS; 389 requires StartTLS, which Open WebUI does not support"
            yield Broken("port", self.port, allowed if self.tls else "tls: true on this port", ("tls",))
        if self.ca_file is not None and not (self.tls and self.validate_certificate):
            allowed = "only with tls and validateCertificate"
            yield Broken("caFile", self.ca_file, allowed, ("tls", "validateCertificate"))
