"""Everything that a stack file may say."""

from collections.abc import Iterator

from pydantic import SecretStr, StrictBool

from settings.base import Broken
from settings.images import is_mutable
from settings.ingress import IngressSettings
from settings.names import Dns1123Label
from settings.ollama import OllamaSettings
from settings.platform import PlatformSettings
from settings.references import SecretKeyRef
from settings.secrets import SecretsSettings
from settings.transform import TransformSettings
from settings.webui import WebUISettings


class StackSettings(PlatformSettings):
    """The settings of one stack. Each field is one `airis:` key of its stack file."""

    production: StrictBool = False
    """Whether people depend on this stack: images must then name one release."""
    namespace: Dns1123Label = "airis"
    """Namespace that everything lives in; it is created."""
    webui: WebUISettings = WebUISettings()
    """The Open WebUI front end."""
    ollama: OllamaSettings = OllamaSettings()
    """The Ollama model server."""
    ingress: IngressSettings = IngressSettings()
    """The way in from outside the cluster."""
    transform: TransformSettings = TransformSettings()
    """Changes to objects that no setting covers."""
    secrets: SecretsSettings = SecretsSettings()
    """Credentials, encrypted with `pulumi config set --secret`."""

    def rules(self) -> Iterator[Broken]:
        """What one part of the stack needs of another."""
        yield from super().rules()
        if self.production:
            for key, image in self._images().items():
                if is_mutable(image):
                    yield Broken(key, image, "a release or a digest, because this stack is production", ("production",))
        for section, used, name, reference, secret, value in self._credentials():
            key = f"{section}.{name}"
            if not used and value is not None:  # the stack would run on without it, and nobody would notice
                yield Broken(f"secrets.{secret}", "[secret]", f"only together with airis:{section}", (section,))
            if used and reference is None and value is None:
                allowed = f"a reference to an existing Secret, or set airis:secrets.{secret} (encrypted)"
                yield Broken(key, None, allowed, (f"secrets.{secret}",))
            if reference is not None and value is not None:
                yield Broken(key, {"name": reference.name}, f"one of this and airis:secrets.{secret}, not both")
        if self.webui.session_key_from is not None and self.secrets.session_key is not None:
            allowed = "one of this and airis:secrets.sessionKey, not both"
            yield Broken("webui.sessionKeyFrom", {"name": self.webui.session_key_from.name}, allowed)

    def warnings(self) -> Iterator[str]:
        """What works, and may surprise later."""
        for key, image in self._images().items():
            if is_mutable(image):
                yield f"airis:{key}: {image} may be another image tomorrow; a release or a digest never is"

    def _images(self) -> dict[str, str]:
        return {"webui.image": self.webui.image, "ollama.image": self.ollama.image}

    def _credentials(self) -> Iterator[tuple[str, bool, str, SecretKeyRef | None, str, SecretStr | None]]:
        """Each credential: the section that it is for, whether that is used, the reference, and the stack's own secret."""
        database, redis, store, own = self.webui.database, self.webui.redis, self.webui.object_storage, self.secrets
        url = database.url_from if database else None
        yield "webui.database", database is not None, "urlFrom", url, "databaseUrl", own.database_url
        url = redis.url_from if redis else None
        yield "webui.redis", redis is not None, "urlFrom", url, "redisUrl", own.redis_url
        used = store is not None
        reference = store.access_key_id_from if store else None
        yield "webui.objectStorage", used, "accessKeyIdFrom", reference, "s3AccessKeyId", own.s3_access_key_id
        reference = store.secret_access_key_from if store else None
        yield (
            "webui.objectStorage",
            used,
            "secretAccessKeyFrom",
            reference,
            "s3SecretAccessKey",
            own.s3_secret_access_key,
        )
