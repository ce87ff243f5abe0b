"""The settings of a stack file."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import SecretStr, StrictBool

from settings.exposure.gateway import GatewaySettings
from settings.exposure.ingress import IngressSettings
from settings.exposure.public_url import exposure_rules, exposure_warnings
from settings.ollama.ollama import OllamaSettings
from settings.platform.platform import PlatformSettings
from settings.platform.takeover import TakeoverSettings
from settings.platform.transform import TransformSettings
from settings.state.database import VERIFYING
from settings.types.base import Broken
from settings.types.images import is_mutable
from settings.types.names import Dns1123Label
from settings.types.project_files import YamlFile
from settings.types.references import SecretKeyRef
from settings.types.secrets import SecretsSettings
from settings.webui.webui import WebUISettings


@dataclass(frozen=True)
class _Credential:
    """A credential that comes from an existing Secret, or from the stack's own Secret."""

    section: str
    """The section of `airis:webui` that needs the credential."""
    key: str
    """The key of the reference in that section."""
    reference: SecretKeyRef | None
    secret: str
    """The key under `airis:secrets`."""
    value: SecretStr | None
    used: bool
    """Whether the credential is needed."""
    instead: str
    """What to set where the credential is not needed; empty if the answer is to set the section."""
    decided_by: tuple[str, ...]
    """The keys of the section that decide whether the credential is needed."""


class StackSettings(PlatformSettings):
    """The settings of one stack. Each field is one `airis:` key of its stack file."""

    base: YamlFile | None = None
    """Path of a YAML file with settings that several stacks share, in the format of a stack file; null for none. The stack file
    takes precedence: mappings are merged at every depth, all other values are replaced. See docs/tenants.md."""
    production: StrictBool = False
    """Mark the stack as production. Images must then be pinned to a release or a digest."""
    namespace: Dns1123Label = "airis"
    """Namespace of the stack. airis creates it."""
    webui: WebUISettings = WebUISettings()
    """Open WebUI, the front end."""
    ollama: OllamaSettings = OllamaSettings()
    """Ollama, the model server."""
    ingress: IngressSettings = IngressSettings()
    """Ingress in front of the WebUI."""
    gateway: GatewaySettings | None = None
    """HTTPRoute in front of the WebUI (Gateway API); null for none. An Ingress and an HTTPRoute may be used together, for
    example during a migration."""
    transform: TransformSettings = TransformSettings()
    """Changes to objects that no setting covers."""
    takeover: TakeoverSettings = TakeoverSettings()
    """Adoption of objects that kubectl or Helm created. Written by `airis adopt`."""
    secrets: SecretsSettings = SecretsSettings()
    """Credentials, encrypted with `pulumi config set --secret`."""

    def rules(self) -> Iterator[Broken]:
        """Rules between the sections of the stack."""
        yield from super().rules()
        if self.production:
            for key, image in self._images().items():
                if is_mutable(image):
                    yield Broken(key, image, "a release or a digest, because this stack is production", ("production",))
        for each in self._credentials():
            key, secret = f"webui.{each.section}.{each.key}", f"secrets.{each.secret}"
            if not each.used and each.value is not None:  # an unused credential would go unnoticed
                allowed = each.instead or f"only together with airis:webui.{each.section}"
                yield Broken(secret, "[secret]", allowed, (f"webui.{each.section}",))
            if each.used and each.reference is None and each.value is None:
                allowed = f"a reference to an existing Secret, or set airis:{secret} (encrypted)"
                reads = (secret, *(f"webui.{each.section}.{other}" for other in each.decided_by))
                yield Broken(key, None, allowed, reads)
            if each.reference is not None and each.value is not None:
                yield Broken(key, {"name": each.reference.name}, f"one of this and airis:{secret}, not both")
        if self.webui.session_key_from is not None and self.secrets.session_key is not None:
            allowed = "one of this and airis:secrets.sessionKey, not both"
            yield Broken("webui.sessionKeyFrom", {"name": self.webui.session_key_from.name}, allowed)
        database, bundle = self.webui.database, self.ca_bundle
        if database is not None and database.ssl_mode in VERIFYING and not (bundle.config_map or bundle.secret):
            allowed = "require, or also set airis:caBundle: PostgreSQL's client has no default authorities"
            yield Broken("webui.database.sslMode", database.ssl_mode, allowed, ("caBundle",))
        yield from exposure_rules(self.webui.url, self.webui.service, self.ingress, self.gateway)
        ways_in = {"ingress.host": self.ingress.host, "gateway": self.gateway}
        used = [key for key, way in ways_in.items() if way is not None]
        yield from self.webui.auth.in_stack(production=self.production, ways_in=used)
        yield from self.webui.connections.in_stack(own_ollama=self.ollama.enabled)

    def warnings(self) -> Iterator[str]:
        """Settings that work, but may cause problems later."""
        for key, image in self._images().items():
            if is_mutable(image):
                yield f"airis:{key}: {image} has a mutable tag: pin a release or a digest"
        yield from self.ollama.warnings() if self.ollama.enabled else ()
        webui = self.webui
        yield from webui.warnings()
        yield from exposure_warnings(webui.url, webui.cors_origins, webui.service, self.ingress, self.gateway)
        gpu_warnings = self.ollama.gpu_warnings(restricted=self.pod_security == "restricted")
        for key, text in gpu_warnings if self.ollama.enabled else ():
            yield f"airis:ollama.{key}: {text}"
        yield from webui.auth.warnings(policies=self.network.policies)
        network = self.network
        closed = network.policies and network.restrict_egress and not network.egress_to
        yield from webui.connections.warnings(closed=closed)
        for key in self._external_state() if closed else ():
            yield f"airis:network.egressTo: empty, so the WebUI cannot reach the server of airis:webui.{key}"

    def _external_state(self) -> Iterator[str]:
        """The keys of `airis:webui` that name servers outside of the stack."""
        webui = self.webui
        if webui.database is not None:
            yield "database"
        if webui.redis is not None and webui.redis.bundled is None:
            yield "redis"
        if webui.object_storage is not None:
            yield "objectStorage"
        if webui.vector_store != "pgvector" and not webui.vectors_on_volume:
            yield webui.vector_store

    def _images(self) -> dict[str, str]:
        images = {"webui.image": self.webui.image}
        if self.ollama.enabled:
            images["ollama.image"] = self.ollama.image
        if self.webui.redis is not None and self.webui.redis.bundled is not None:
            images["webui.redis.bundled.image"] = self.webui.redis.bundled.image
        return images

    def _credentials(self) -> Iterator[_Credential]:
        """The credentials of the WebUI's database, Redis and object storage."""
        database, redis, store, own = self.webui.database, self.webui.redis, self.webui.object_storage, self.secrets
        parts = database is not None and database.host is not None
        yield _Credential(
            "database",
            "urlFrom",
            database.url_from if database else None,
            "databaseUrl",
            own.database_url,
            used=database is not None and not parts,
            instead="null, because airis:webui.database.host is set" if parts else "",
            decided_by=("host",),
        )
        yield _Credential(
            "database",
            "passwordFrom",
            database.password_from if database else None,
            "databasePassword",
            own.database_password,
            used=database is not None and parts and not database.iam_token,
            instead="only with airis:webui.database.host, and without iamToken",
            decided_by=("host", "iamToken"),
        )
        bundled = redis is not None and redis.bundled is not None
        yield _Credential(
            "redis",
            "urlFrom",
            redis.url_from if redis else None,
            "redisUrl",
            own.redis_url,
            used=redis is not None and not bundled,
            instead="null, because the URL of airis:webui.redis.bundled is generated" if bundled else "",
            decided_by=("bundled",),
        )
        keys = store is not None and store.is_s3 and not store.workload_identity
        instead = "null, because airis:webui.objectStorage uses no S3 keys" if store and not keys else ""
        yield _Credential(
            "objectStorage",
            "accessKeyIdFrom",
            store.access_key_id_from if store else None,
            "s3AccessKeyId",
            own.s3_access_key_id,
            used=keys,
            instead=instead,
            decided_by=("gcs", "azure", "workloadIdentity"),
        )
        yield _Credential(
            "objectStorage",
            "secretAccessKeyFrom",
            store.secret_access_key_from if store else None,
            "s3SecretAccessKey",
            own.s3_secret_access_key,
            used=keys,
            instead=instead,
            decided_by=("gcs", "azure", "workloadIdentity"),
        )
