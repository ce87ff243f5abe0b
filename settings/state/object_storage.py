"""Settings of the object storage for uploads: S3, Google Cloud Storage or Azure Blob Storage."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool

from settings.types.base import Broken, Settings
from settings.types.references import SecretKeyRef
from settings.types.servers import ServerUrl
from settings.types.variables import Value, Variable, VariableSettings

_IDENTITY = "one of this and workloadIdentity, not both"


class GcsSettings(Settings):
    """Google Cloud Storage."""

    bucket: Annotated[str, Field(min_length=3, max_length=222), Variable("GCS_BUCKET_NAME")]
    """The bucket; it must exist."""
    credentials_from: Annotated[SecretKeyRef | None, Variable("GOOGLE_APPLICATION_CREDENTIALS_JSON")] = None
    """An existing Secret with the JSON key of a service account."""
    workload_identity: StrictBool = False
    """Whether the pod's own identity takes the place of a key: `serviceAccountAnnotations` names the service account."""

    def rules(self) -> Iterator[Broken]:
        """One way in."""
        if self.workload_identity and self.credentials_from is not None:
            shown = {"name": self.credentials_from.name}
            yield Broken("credentialsFrom", shown, _IDENTITY, ("workloadIdentity",))
        if not self.workload_identity and self.credentials_from is None:
            yield Broken("credentialsFrom", None, "a reference, or workloadIdentity: true", ("workloadIdentity",))


class AzureSettings(Settings):
    """Azure Blob Storage."""

    endpoint: Annotated[ServerUrl, Variable("AZURE_STORAGE_ENDPOINT")]
    """URL of the storage account, such as `https://account.blob.core.windows.net`."""
    container: Annotated[str, Field(min_length=3, max_length=63), Variable("AZURE_STORAGE_CONTAINER_NAME")]
    """The container; it must exist."""
    key_from: Annotated[SecretKeyRef | None, Variable("AZURE_STORAGE_KEY")] = None
    """An existing Secret with the account's key."""
    workload_identity: StrictBool = False
    """Whether the pod's own identity takes the place of a key: `serviceAccountAnnotations` names the client, and the pods need
    the label `azure.workload.identity/use`, by `podLabels`."""

    def rules(self) -> Iterator[Broken]:
        """One way in."""
        if self.workload_identity and self.key_from is not None:
            yield Broken("keyFrom", {"name": self.key_from.name}, _IDENTITY, ("workloadIdentity",))
        if not self.workload_identity and self.key_from is None:
            yield Broken("keyFrom", None, "a reference, or workloadIdentity: true", ("workloadIdentity",))


class ObjectStorageSettings(VariableSettings):
    """S3 or a compatible store for uploads, in place of the volume; or, by `gcs` or `azure`, one of those.

    It takes the uploads and nothing else. Source: open_webui/storage/provider.py.
    """

    DERIVED: ClassVar = frozenset({"STORAGE_PROVIDER"})

    bucket: Annotated[str | None, Field(min_length=3, max_length=63), Variable("S3_BUCKET_NAME")] = None
    """The S3 bucket; it must exist. Null with `gcs` and `azure`."""
    region: Annotated[str | None, Variable("S3_REGION_NAME")] = None
    """Region of the bucket."""
    endpoint: Annotated[str | None, Variable("S3_ENDPOINT_URL")] = None
    """URL of the store where it is not Amazon's."""
    key_prefix: Annotated[str | None, Field(min_length=1), Variable("S3_KEY_PREFIX")] = None
    """Folder in the bucket, such as `airis`; null for the bucket itself."""
    addressing_style: Annotated[Literal["path", "virtual", "auto"] | None, Variable("S3_ADDRESSING_STYLE")] = None
    """Whether the bucket is part of the path or of the host name; stores inside a cluster want `path`. Null for `auto`."""
    accelerate: Annotated[StrictBool | None, Variable("S3_USE_ACCELERATE_ENDPOINT")] = None
    """Whether Amazon's Transfer Acceleration is used."""
    tagging: Annotated[StrictBool | None, Variable("S3_ENABLE_TAGGING")] = None
    """Whether uploads carry tags, such as who sent them. Not every store takes tags."""
    access_key_id_from: Annotated[SecretKeyRef | None, Variable("S3_ACCESS_KEY_ID")] = None
    """An existing Secret with the access key; null takes `airis:secrets.s3AccessKeyId`."""
    secret_access_key_from: Annotated[SecretKeyRef | None, Variable("S3_SECRET_ACCESS_KEY")] = None
    """An existing Secret with the secret key; null takes `airis:secrets.s3SecretAccessKey`."""
    workload_identity: StrictBool = False
    """Whether the pod's own identity takes the place of keys: `serviceAccountAnnotations` names the role (Amazon EKS)."""
    gcs: GcsSettings | None = None
    """Google Cloud Storage, in place of S3."""
    azure: AzureSettings | None = None
    """Azure Blob Storage, in place of S3."""
    local_cache: Annotated[StrictBool | None, Variable("STORAGE_LOCAL_CACHE")] = None
    """Whether each pod keeps a copy of the uploads that passed through it, in a folder of `storage.size` that Kubernetes evicts
    the pod for when it is full. Null leaves it to Open WebUI (true); give several pods false."""

    @property
    def is_s3(self) -> bool:
        """Whether it is S3, and needs what S3 needs."""
        return self.gcs is None and self.azure is None

    @property
    def where(self) -> Mapping[str, str]:
        """The bucket or container, to show."""
        if self.gcs is not None:
            return {"gcs": self.gcs.bucket}
        return {"bucket": str(self.bucket)} if self.azure is None else {"azure": self.azure.container}

    def derived(self) -> Mapping[str, Value]:
        """Which kind of store it is."""
        return {"STORAGE_PROVIDER": "s3" if self.is_s3 else "gcs" if self.azure is None else "azure"}

    def rules(self) -> Iterator[Broken]:
        """One store."""
        if self.gcs is not None and self.azure is not None:
            yield Broken("azure", {"container": self.azure.container}, "one of this and gcs, not both", ("gcs",))
        if self.is_s3 and self.bucket is None:
            yield Broken("bucket", None, "the name of the bucket, or set gcs or azure", ("gcs", "azure"))
        for key, field in type(self).model_fields.items():
            if not self.is_s3 and key not in ("gcs", "azure", "local_cache") and getattr(self, key) != field.default:
                value = getattr(self, key)
                shown = {"name": value.name} if isinstance(value, SecretKeyRef) else value
                yield Broken(str(field.alias), shown, "only with S3, without gcs and azure", ("gcs", "azure"))
        for key in ("access_key_id_from", "secret_access_key_from"):
            reference: SecretKeyRef | None = getattr(self, key)
            if self.workload_identity and reference is not None:
                alias = str(type(self).model_fields[key].alias)
                yield Broken(alias, {"name": reference.name}, _IDENTITY, ("workloadIdentity",))
