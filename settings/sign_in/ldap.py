"""Settings of signing in with a password that an LDAP server checks.

Open WebUI keeps all of these in its database from the first start that knows them on, unless
`airis:webui.enablePersistentConfig` is false.
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
    """Groups from the directory: at each sign-in, people join and leave the groups of the same common names."""

    DERIVED: ClassVar = frozenset({"ENABLE_LDAP_GROUP_MANAGEMENT"})

    attribute: Annotated[Attribute | None, Variable("LDAP_ATTRIBUTE_FOR_GROUPS")] = None
    """The attribute with the groups' names (DNs); null for `memberOf`."""
    create: Annotated[StrictBool, Variable("ENABLE_LDAP_GROUP_CREATION")] = False
    """Whether groups that are missing are made."""

    def derived(self) -> Mapping[str, Value]:
        """On as soon as the section is there."""
        return {"ENABLE_LDAP_GROUP_MANAGEMENT": "True"}


class LdapSettings(VariableSettings):
    """An LDAP server or Active Directory. Kept in Open WebUI's database (see `airis:webui.enablePersistentConfig`)."""

    DERIVED: ClassVar = frozenset({"ENABLE_LDAP", "LDAP_SERVER_PORT"})

    host: Annotated[ServerName, Variable("LDAP_SERVER_HOST")]
    """Name of the server; the one in its certificate."""
    port: Annotated[StrictInt, Field(ge=1, le=65535)] | None = None
    """Port of the server; null for 636 with TLS, and 389 without."""
    tls: Annotated[StrictBool, Variable("LDAP_USE_TLS")] = True
    """Whether the connection is encrypted from its beginning (LDAPS). Open WebUI has no StartTLS. False sends passwords in
    plain text, and is refused in production."""
    validate_certificate: Annotated[StrictBool, Variable("LDAP_VALIDATE_CERT")] = True
    """Whether the server's certificate must be valid. False lets anybody on the way pose as the server, and is refused in
    production."""
    ca_file: Annotated[FilePath | None, Variable("LDAP_CA_CERT_FILE")] = None
    """File with the certificate authorities in the container; null for `airis:caBundle`, or the image's own."""
    label: Annotated[Text | None, Variable("LDAP_SERVER_LABEL")] = None
    """Name of the server for people; null for `LDAP Server`."""
    app_dn: Annotated[Text | None, Variable("LDAP_APP_DN")] = None
    """Name (DN) of the account that searches; null searches anonymously."""
    password_from: Annotated[SecretKeyRef | None, Variable("LDAP_APP_PASSWORD")] = None
    """An existing Secret with that account's password."""
    search_base: Annotated[Text, Variable("LDAP_SEARCH_BASE")]
    """Below which name (DN) people are searched."""
    search_filter: Annotated[LdapFilter | None, Variable("LDAP_SEARCH_FILTER")] = None
    """A filter that people must match beside their name, in parentheses; null for none."""
    username_attribute: Annotated[Attribute | None, Variable("LDAP_ATTRIBUTE_FOR_USERNAME")] = None
    """The attribute with the name that people sign in with; null for `uid`. Active Directory: `sAMAccountName`."""
    mail_attribute: Annotated[Attribute | None, Variable("LDAP_ATTRIBUTE_FOR_MAIL")] = None
    """The attribute with the e-mail address; null for `mail`."""
    default_email_domain: Annotated[Domain | None, Variable("LDAP_DEFAULT_EMAIL_DOMAIN"), Supported(since="0.12.4")] = (
        None
    )
    """Domain for the address of people who have none; null sends them away."""
    groups: LdapGroupsSettings | None = None
    """Groups from the directory; null leaves them to the administrators."""

    def derived(self) -> Mapping[str, Value]:
        """On as soon as there is a server. Open WebUI's own default port is 389, with TLS too."""
        port = self.port or (_TLS_PORT if self.tls else _PORT)
        return {"ENABLE_LDAP": "True", "LDAP_SERVER_PORT": str(port)}

    def rules(self) -> Iterator[Broken]:
        """What could not work, or would not be noticed."""
        if (self.app_dn is None) != (self.password_from is None):
            yield Broken("appDn", self.app_dn, "together with passwordFrom, or neither", ("passwordFrom",))
        if self.port == (_PORT if self.tls else _TLS_PORT):
            allowed = f"{_TLS_PORT} or another port for TLS; 389 would need StartTLS, which Open WebUI has not"
            yield Broken("port", self.port, allowed if self.tls else "tls: true on this port", ("tls",))
        if self.ca_file is not None and not (self.tls and self.validate_certificate):
            allowed = "only with tls and validateCertificate"
            yield Broken("caFile", self.ca_file, allowed, ("tls", "validateCertificate"))
