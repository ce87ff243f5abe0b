"""The command line and the configuration of kwokctl, which starts the sandbox's processes."""

from pathlib import Path
from typing import Any

from airis.cluster.programs.binaries import Binaries, versions

START_SECONDS = 90.0
"""How long kwokctl waits for the API server."""


def create_command(binaries: Binaries, name: str, config: Path, kubeconfig: Path) -> list[str]:
    """The command that creates a control plane with this name. `config` is the file with `configuration`."""
    return [
        str(binaries.path("kwokctl")),
        f"--name={name}",
        f"--config={config}",
        "create",
        "cluster",
        f"--kubeconfig={kubeconfig}",  # otherwise kwokctl writes to the user's kubeconfig
        "--extra-args=kube-controller-manager=enable-hostpath-provisioner=true",
        # There is only one instance of each. On a busy machine it would fail to renew its lease, and exit
        "--extra-args=kube-controller-manager=leader-elect=false",
        "--extra-args=kube-scheduler=leader-elect=false",
        # No data has to survive a crash, and a slow disk would slow down every write
        "--extra-args=etcd=unsafe-no-fsync=true",
        # Without an address, the API server looks for a default route, and exits on an offline machine.
        # TEST-NET-1 (RFC 5737) is not routed, and a loopback address is not valid in an EndpointSlice.
        "--extra-args=kube-apiserver=advertise-address=192.0.2.1",
        f"--wait={START_SECONDS:.0f}s",
    ]


def configuration(binaries: Binaries) -> dict[str, Any]:
    """The configuration file. Source: sigs.k8s.io/kwok, pkg/apis/config/v1alpha1/kwokctl_configuration_types.go."""
    paths = {
        "etcdBinary": "etcd",
        "etcdctlBinary": "etcdctl",
        "kubeApiserverBinary": "kube-apiserver",
        "kubeControllerManagerBinary": "kube-controller-manager",
        "kubeSchedulerBinary": "kube-scheduler",
        "kubectlBinary": "kubectl",
        "kwokControllerBinary": "kwok",
    }
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",  # kwokctl's default is every interface
            "kubeVersion": versions()["k8s.io/kubernetes"],
            "kubeAuthorization": True,
            "kubeAdmission": True,
            "disableQPSLimits": True,
            **{option: str(binaries.path(program)) for option, program in paths.items()},
        },
    }
