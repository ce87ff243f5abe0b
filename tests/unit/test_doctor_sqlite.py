"""The check `sqlite-storage`: finds network storage by the volume or its class."""

from typing import Any

import pytest

from airis.cluster.kubectl import KubeObject
from airis.doctor.checks import CHECKS, Finding, State
from airis.doctor.network_storage import of_provisioner, of_volume
from airis.doctor.requirements import Requirements
from tests.unit.doctors import body, observed, wanted

pytestmark = pytest.mark.timeout(60)

OK, WARNING, PROBLEM = State.OK, State.WARNING, State.PROBLEM
CLASSES, CLAIMS, VOLUMES = "storageclasses.storage.k8s.io", "persistentvolumeclaims", "persistentvolumes"
DEFAULT = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}


@pytest.mark.parametrize(
    ("provisioner", "parameters", "name"),
    [
        ("nfs.csi.k8s.io", {}, "NFS"),
        ("k8s-sigs.io/nfs-subdir-external-provisioner", {}, "NFS"),
        ("cluster.local/storage-nfs-client-provisioner", {}, "NFS"),
        ("openebs.io/nfsrwx", {}, "NFS"),
        ("org.democratic-csi.nfs", {}, "NFS"),
        ("efs.csi.aws.com", {}, "NFS"),
        ("fsx.openzfs.csi.aws.com", {}, "NFS"),
        ("filestore.csi.storage.gke.io", {"tier": "standard"}, "NFS"),
        ("fss.csi.oraclecloud.com", {}, "NFS"),
        ("file.csi.azure.com", {"protocol": "nfs"}, "NFS"),
        ("file.csi.azure.com", {"skuName": "Standard_LRS"}, "SMB"),
        ("file.csi.azure.com", {"protocol": "smb"}, "SMB"),
        ("kubernetes.io/azure-file", {}, "SMB"),
        ("smb.csi.k8s.io", {}, "SMB"),
        ("rook-ceph.cephfs.csi.ceph.com", {}, "CephFS"),
        ("cephfs.csi.ceph.com", {}, "CephFS"),
        ("kubernetes.io/glusterfs", {}, "GlusterFS"),
        ("fsx.csi.aws.com", {}, "Lustre"),
        ("csi.trident.netapp.io", {"backendType": "ontap-nas"}, "NFS"),
        ("csi.trident.netapp.io", {"backendType": "ontap-nas-economy"}, "NFS"),
        ("s3.csi.aws.com", {}, "an object store"),
        ("gcsfuse.csi.storage.gke.io", {}, "an object store"),
        ("blob.csi.azure.com", {}, "an object store"),
        ("blob.csi.azure.com", {"protocol": "nfs"}, "NFS"),
    ],
)
def test_provisioners_of_network_storage(provisioner: str, parameters: dict[str, str], name: str) -> None:
    assert str(of_provisioner(provisioner, parameters, shared=False)) == name


@pytest.mark.parametrize(
    "provisioner",
    [
        "ebs.csi.aws.com",
        "disk.csi.azure.com",
        "pd.csi.storage.gke.io",
        "rook-ceph.rbd.csi.ceph.com",
        "rbd.csi.ceph.com",
        "driver.longhorn.io",
        "csi.trident.netapp.io",
        "csi.vsphere.vmware.com",
        "rancher.io/local-path",
        "k8s.io/minikube-hostpath",
        "openebs.io/local",
        "topolvm.io",
        "blockvolume.csi.oraclecloud.com",
        "",
    ],
)
def test_block_storage_is_not_network_storage(provisioner: str) -> None:
    assert of_provisioner(provisioner, {}, shared=False) is None


def test_block_storage_that_is_shared_by_nfs() -> None:
    assert str(of_provisioner("driver.longhorn.io", {}, shared=True)) == "NFS"
    assert of_provisioner("ebs.csi.aws.com", {}, shared=True) is None


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"nfs": {"server": "nas", "path": "/x"}}, "NFS"),
        ({"cephfs": {"monitors": []}}, "CephFS"),
        ({"azureFile": {"shareName": "x"}}, "SMB"),
        ({"glusterfs": {"path": "x"}}, "GlusterFS"),
        ({"csi": {"driver": "efs.csi.aws.com"}}, "NFS"),
        ({"csi": {"driver": "file.csi.azure.com", "volumeAttributes": {"protocol": "nfs"}}}, "NFS"),
        ({"csi": {"driver": "file.csi.azure.com", "volumeAttributes": {}}}, "SMB"),
        ({"csi": {"driver": "driver.longhorn.io"}, "accessModes": ["ReadWriteMany"]}, "NFS"),
        ({"flexVolume": {"driver": "fstab/cifs"}}, "SMB"),
        ({"csi": {"driver": "driver.longhorn.io"}, "accessModes": ["ReadWriteOnce"]}, "None"),
        ({"csi": {"driver": "ebs.csi.aws.com"}}, "None"),
        ({"hostPath": {"path": "/data"}}, "None"),
        ({"local": {"path": "/data"}}, "None"),
    ],
)
def test_volumes(spec: dict[str, Any], name: str) -> None:
    assert str(of_volume(spec)) == name


def storage_class(provisioner: str, name: str = "standard", **more: Any) -> KubeObject:
    return body("StorageClass", name, metadata=DEFAULT, provisioner=provisioner, **more)


def claim(name: str, **spec: Any) -> KubeObject:
    return body("PersistentVolumeClaim", name, spec, status={"phase": "Bound"})


def found(stack: Requirements, *, own: tuple[KubeObject, ...] = (), **objects: Any) -> list[Finding]:
    known = {CLASSES: objects.get("classes", ()), VOLUMES: objects.get("volumes", ())}
    return list(CHECKS["sqlite-storage"].findings(observed(stack, objects=known, own={CLAIMS: own})))


def test_a_class_of_network_storage_is_named_with_a_remedy() -> None:
    (nfs,) = found(wanted(), classes=[storage_class("nfs.csi.k8s.io")])
    (smb,) = found(wanted(), classes=[storage_class("file.csi.azure.com")])
    (disk,) = found(wanted(), classes=[storage_class("disk.csi.azure.com")])

    assert (nfs.state, smb.state, disk.state) == (WARNING, PROBLEM, OK)
    words = "claim airis-pvc, with chats and embeddings in SQLite, is on NFS (StorageClass standard, nfs.csi.k8s.io): "
    assert nfs.what.startswith(words)
    assert "airis:webui.database" in nfs.remedy
    assert "airis:webui.storage.storageClass" in nfs.remedy
    assert disk.remedy == ""


def test_only_the_webuis_storage_class_is_checked() -> None:
    classes = [storage_class("disk.csi.azure.com"), body("StorageClass", "shared", provisioner="file.csi.azure.com")]

    assert found(wanted(ollama={"storage": {"storageClass": "shared"}}), classes=classes)[0].state is OK
    assert found(wanted(webui={"storage": {"storageClass": "shared"}}), classes=classes)[0].state is PROBLEM


def test_an_existing_volume_takes_precedence_over_its_class() -> None:
    volume = body("PersistentVolume", "pv-1", {"nfs": {"server": "nas", "path": "/chats"}})
    bound = claim("airis-pvc", volumeName="pv-1", storageClassName="gone")

    (seen,) = found(wanted(), own=(bound,), volumes=[volume])
    (unseen,) = found(wanted(), own=(bound,), classes=[storage_class("efs.csi.aws.com", "gone")])

    assert seen.state is WARNING
    assert "is on NFS (volume pv-1)" in seen.what
    assert "is on NFS (StorageClass gone, efs.csi.aws.com)" in unseen.what


def test_an_existing_claim_is_checked() -> None:
    stack = wanted(webui={"storage": {"existingClaim": "chats"}})
    volume = body("PersistentVolume", "pv-1", {"csi": {"driver": "cephfs.csi.ceph.com"}})

    (finding,) = found(stack, own=(claim("chats", volumeName="pv-1"),), volumes=[volume])

    assert finding.state is WARNING
    assert "claim chats, with chats and embeddings in SQLite, is on CephFS (volume pv-1)" in finding.what
    assert found(stack) == []  # the check existing-claim reports the missing claim


def test_without_sqlite_any_storage_is_fine() -> None:
    classes = [storage_class("nfs.csi.k8s.io")]
    database = {"host": "db", "name": "airis", "user": "airis", "passwordFrom": {"name": "db", "key": "password"}}

    (both,) = found(wanted(webui={"database": database}), classes=classes)
    none = found(wanted(webui={"database": database, "vectorStore": "pgvector"}), classes=classes)

    assert "with embeddings in SQLite" in both.what
    assert none == []
