"""What a provisioner provides: access modes, and network file systems on which SQLite fails.

SQLite needs locks, a memory-mapped file (its write-ahead log, which Open WebUI enables) and a fast `fsync`. Sources:
SQLite, "How To Corrupt An SQLite Database File" (2.1, file systems with broken or missing lock implementations) and
"Write-Ahead Logging" (1, it does not work over a network filesystem); Open WebUI, "Scaling Open WebUI: why SQLite on network
storage fails the moment you scale (or upgrade)", which names NFS, CephFS and Azure Files.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airis.doctor.checks import State


@dataclass(frozen=True)
class FileSystem:
    """A network file system."""

    name: str
    state: State
    """The severity: a problem if Open WebUI does not start, or loses data."""
    why: str

    def __str__(self) -> str:
        return self.name


_FOR_ONE_NODE = (
    "ebs.csi.aws.com",
    "ebs.csi.eks.amazonaws.com",
    "pd.csi.storage.gke.io",
    "disk.csi.azure.com",
    "rancher.io/local-path",
)
"""Provisioners whose volumes only one node at a time can mount. Source: their READMEs, "Access modes"."""


def is_for_one_node(provisioner: str) -> bool:
    """Whether only one node at a time can mount its volumes: no ReadWriteMany, no ReadOnlyMany."""
    return provisioner in _FOR_ONE_NODE


NFS = FileSystem("NFS", State.WARNING, "its locks are not reliable, and each write waits for the network")
CEPHFS = FileSystem("CephFS", State.WARNING, "each write waits for the network")
GLUSTERFS = FileSystem("GlusterFS", State.WARNING, "its locks are not reliable, and each write waits for the network")
LUSTRE = FileSystem(
    "Lustre", State.WARNING, "it has locks only if they are enabled, and each write waits for the network"
)
SMB = FileSystem(
    "SMB", State.PROBLEM, "its locks do not work for SQLite: `database is locked` (open-webui/helm-charts#98)"
)
OBJECTS = FileSystem("an object store", State.PROBLEM, "it supports neither locks nor writes within a file")


@dataclass(frozen=True)
class _Row:
    """Which volumes use that file system."""

    provisioner: str
    """Pattern of the full name of the provisioner or CSI driver."""
    file_system: FileSystem
    parameter: tuple[str, str] = ("", "")
    """A parameter of the class or attribute of the volume, and the pattern of its value; empty matches any."""
    shared: bool = False
    """Whether this applies only to claims with ReadWriteMany: others are block storage."""


_ROWS: Sequence[_Row] = (
    # Microsoft, "Azure Files CSI driver" and "Azure Blob Storage CSI driver": parameter protocol
    _Row(r"file\.csi\.azure\.com|blob\.csi\.azure\.com", NFS, ("protocol", "nfs")),
    _Row(r"file\.csi\.azure\.com|kubernetes\.io/azure-file", SMB),
    _Row(r"blob\.csi\.azure\.com", OBJECTS),
    # READMEs of the drivers
    _Row(r"smb\.csi\.k8s\.io|.*\bcifs\b.*|.*\bsmb\b.*", SMB),
    _Row(r"efs\.csi\.aws\.com|fsx\.openzfs\.csi\.aws\.com", NFS),
    _Row(r"filestore\.csi\.storage\.gke\.io", NFS),
    _Row(r"fss\.csi\.oraclecloud\.com|vpc\.file\.csi\.ibm\.io|nasplugin\.csi\.alibabacloud\.com", NFS),
    _Row(r"csi\.trident\.netapp\.io", NFS, ("backendType", ".*-nas.*|.*-files")),
    _Row(r".*\bnfs(rwx)?\b.*|fuseim\.pri/ifs", NFS),
    _Row(r"(.*\.)?cephfs\.csi\.ceph\.com|ceph\.com/cephfs", CEPHFS),
    _Row(r".*\bgluster(fs)?\b.*", GLUSTERFS),
    _Row(r"fsx\.csi\.aws\.com|.*\blustre\b.*", LUSTRE),
    _Row(r"s3\.csi\.aws\.com|gcsfuse\.csi\.storage\.gke\.io|.*\bs3\b.*", OBJECTS),
    # Longhorn, "ReadWriteMany (RWX) volume"; vSphere CSI, "vSAN File Services"; Portworx, "Sharedv4"
    _Row(r"driver\.longhorn\.io|csi\.vsphere\.vmware\.com|pxd\.portworx\.com", NFS, shared=True),
)

_SOURCES: Mapping[str, FileSystem] = {
    "nfs": NFS,
    "cephfs": CEPHFS,
    "glusterfs": GLUSTERFS,
    "azureFile": SMB,
}
"""Fields of a PersistentVolume's spec. Source: Kubernetes, "Types of Persistent Volumes"."""


def of_provisioner(name: str, parameters: Mapping[str, str], *, shared: bool) -> FileSystem | None:
    """The file system of a provisioner's volumes; None for block storage and unknown provisioners.

    `shared` is whether several nodes mount them.
    """
    for row in _ROWS:
        key, value = row.parameter
        fits = not key or re.fullmatch(value, parameters.get(key, ""))
        if fits and (shared or not row.shared) and re.fullmatch(row.provisioner, name):
            return row.file_system
    return None


def of_volume(spec: Mapping[str, Any]) -> FileSystem | None:
    """The file system of a PersistentVolume, from its spec."""
    if found := next((each for field, each in _SOURCES.items() if field in spec), None):
        return found
    source = spec.get("csi") or spec.get("flexVolume") or {}
    attributes = source.get("volumeAttributes") or source.get("options") or {}
    return of_provisioner(
        str(source.get("driver", "")), attributes, shared="ReadWriteMany" in (spec.get("accessModes") or ())
    )
