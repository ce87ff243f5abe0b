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
    """Name of the bucket, which must exist."""
    credentials_from: Annotated[SecretKeyRef | None, Variable("GOOGLE_APPLICATION_CREDENTIALS_JSON")] = None
    """Reference to an existing Secret with the JSON key of a service account."""
    workload_identity: StrictBool = False
    """Authenticate with the pod's workload identity instead of a key: set the service account in
    `serviceAccountAnnotations`."""

    def rules(self) -> Iterator[Broken]:
        """Either a key or workload identity."""
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
    """Name of the container, which must exist."""
    key_from: Annotated[SecretKeyRef | None, Variable("AZURE_STORAGE_KEY")] = None
    """Reference to an existing Secret with the account key."""
    workload_identity: StrictBool = False
    """Authenticate with the pod's workload identity instead of a key: set the client in `serviceAccountAnnotations`, and the
    label `azure.workload.identity/use` in `podLabels`."""

    def rules(self) -> Iterator[Broken]:
        """Either a key or workload identity."""
        if self.workload_identity and self.key_from is not None:
            yield Broken("keyFrom", {"name": self.key_from.name}, _IDENTITY, ("workloadIdentity",))
        if not self.workload_identity and self.key_from is None:
            yield Broken("keyFrom", None, "a reference, or workloadIdentity: true", ("workloadIdentity",))


class ObjectStorageSettings(VariableSettings):
    """Object storage for uploads, instead of the volume: S3 or a compatible store, Google Cloud Storage (`gcs`) or Azure Blob
    Storage (`azure`).

    It stores only uploads. Source: open_webui/storage/provider.py.
    """

    DERIVED: ClassVar = frozenset({"STORAGE_PROVIDER"})

    bucket: Annotated[str | None, Field(min_length=3, max_length=63), Variable("S3_BUCKET_NAME")] = None
    """Name of the S3 bucket, which must exist. Null with `gcs` and `azure`."""
    region: Annotated[str | None, Variable("S3_REGION_NAME")] = None
    """Region of the bucket."""
    endpoint: Annotated[str | None, Variable("S3_ENDPOINT_URL")] = None
    """URL of the store, if it is not Amazon S3."""
    key_prefix: Annotated[str | None, Field(min_length=1), Variable("S3_KEY_PREFIX")] = None
    """Prefix of all object keys, such as `airis`; null for none."""
    addressing_style: Annotated[Literal["path", "virtual", "auto"] | None, Variable("S3_ADDRESSING_STYLE")] = None
    """Whether the bucket is part of the path or of the host name; stores inside a cluster usually require `path`. Null for
    `auto`."""
    accelerate: Annotated[StrictBool | None, Variable("S3_USE_ACCELERATE_ENDPOINT")] = None
    """Use Amazon S3 Transfer Acceleration."""
    tagging: Annotated[StrictBool | None, Variable("S3_ENABLE_TAGGING")] = None
    """Add tags to uploads, such as the user who uploaded them. Not every store supports tags."""
    access_key_id_from: Annotated[SecretKeyRef | None, Variable("S3_ACCESS_KEY_ID")] = None
    """Reference to an existing Secret with the access key ID; null uses `airis:secrets.s3AccessKeyId`."""
    secret_access_key_from: Annotated[SecretKeyRef | None, Variable("S3_SECRET_ACCESS_KEY")] = None
    """Reference to an existing Secret with the secret access key; null uses `airis:secrets.s3SecretAccessKey`."""
    workload_identity: StrictBool = False
    """Authenticate with the pod's workload identity instead of keys: set the role in `serviceAccountAnnotations` (Amazon
    EKS)."""
    gcs: GcsSettings | None = None
    """Google Cloud Storage, instead of S3."""
    azure: AzureSettings | None = None
    """Azure Blob Storage, instead of S3."""
    local_cache: Annotated[StrictBool | None, Variable("STORAGE_LOCAL_CACHE")] = None
    """Keep a copy of uploads in each pod that handled them, in a directory limited to `storage.size`; Kubernetes evicts the pod
    when it is full. Null for Open WebUI's default (true). Set to false with several pods."""

    @property
    def is_s3(self) -> bool:
        """Whether the store is S3."""
        return self.gcs is None and self.azure is None

    @property
    def where(self) -> Mapping[str, str]:
        """The bucket or container, for display."""
        if self.gcs is not None:
            return {"gcs": self.gcs.bucket}
        return {"bucket": str(self.bucket)} if self.azure is None else {"azure": self.azure.container}

    def derived(self) -> Mapping[str, Value]:
        """The kind of store."""
        return {"STORAGE_PROVIDER": "s3" if self.is_s3 else "gcs" if self.azure is None else "azure"}

    def rules(self) -> Iterator[Broken]:
        """One store, and only its settings."""
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
