"""The programs of a node: their options and configuration files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.node.places import ADDRESS, API_PORT, DNS, INSIDE, NAME, PODS, SERVICES, SOCKET, Slot

SLOT = Slot(INSIDE)
"""The slot's path in the node's mount namespace."""

NO_NAMES = "nameserver 127.0.0.1\n"
"""A resolv.conf with which lookups of names outside of the cluster fail immediately."""

_ETCD = "http://127.0.0.1:2379"
_PEER = "http://127.0.0.1:2380"

_CONTAINERD = f"""\
version = 4
root = "{SLOT.store}"
imports = []
[plugins."io.containerd.internal.v1.opt"]
  path = "/run/opt"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true # without CAP_SYS_RESOURCE, nobody may lower it
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
  conf_dir = "{SLOT.etc / "cni"}"
"""


def _network() -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": PODS.replace("/16", "/24")}]],  # the controller manager's range of the first node
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": NAME, "plugins": [{**bridge, "ipam": addresses}, ports]}


def _kubelet(group: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "x509": {"clientCAFile": str(SLOT.etc / "ca.crt")},
            "webhook": {"enabled": True},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(SLOT.etc / "server.crt"),
        "tlsPrivateKeyFile": str(SLOT.etc / "server.key"),
        "address": ADDRESS,
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(SLOT.etc / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "podLogsDir": str(SLOT.run / "pod-logs"),
        "volumePluginDir": "/run/volume-plugins",
        "serializeImagePulls": False,
        "eventRecordQPS": 0,
        "registryPullQPS": 0,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "200Mi", "imagefs.available": "200Mi"},
        "imageGCHighThresholdPercent": 100,
        "volumeStatsAggPeriod": "5s",  # a pod that fills a folder is evicted after this
    }


def _proxy() -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NAME,
        "clientConnection": {"kubeconfig": str(SLOT.kubeconfig)},
        "conntrack": {
            "maxPerCore": 0
        },  # the kernel has one limit for all network namespaces, which the node must not change
    }


def configure(slot: Slot, group: str) -> None:
    """Writes each configuration file once: kube-proxy ends when its file is written again."""
    (slot.etc / "cni").mkdir(parents=True)
    files = {
        "containerd.toml": _CONTAINERD,
        "cni/10-bridge.conflist": json.dumps(_network()),
        "kubelet.json": json.dumps(_kubelet(group)),
        "proxy.json": json.dumps(_proxy()),
        "resolv.conf": NO_NAMES,
    }
    for name, text in files.items():
        (slot.etc / name).write_text(text, encoding="utf-8")


def _options(**values: object) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


def commands() -> Mapping[str, list[str]]:
    """The command lines by name."""
    etc = SLOT.etc

    def pair(name: str, certificate: str, key: str) -> dict[str, Path]:
        return {certificate: etc / f"{name}.crt", key: etc / f"{name}.key"}

    return {
        "containerd": ["containerd", *_options(config=etc / "containerd.toml")],
        "etcd": [
            "etcd",
            *_options(data_dir="/run/etcd", log_level="error", unsafe_no_fsync=True),
            *_options(listen_client_urls=_ETCD, advertise_client_urls=_ETCD),
            *_options(listen_peer_urls=_PEER, initial_advertise_peer_urls=_PEER, initial_cluster=f"default={_PEER}"),
        ],
        "kube-apiserver": [
            "kube-apiserver",
            *_options(etcd_servers=_ETCD, service_cluster_ip_range=SERVICES, authorization_mode="Node,RBAC"),
            # On all addresses of the node's network namespace: pods reach it by the advertised address
            *_options(bind_address="0.0.0.0", advertise_address=ADDRESS, secure_port=API_PORT),  # noqa: S104
            *_options(client_ca_file=etc / "ca.crt", **pair("server", "tls_cert_file", "tls_private_key_file")),
            *_options(service_account_issuer="https://kubernetes.default.svc"),
            *_options(service_account_key_file=etc / "server.crt", service_account_signing_key_file=etc / "server.key"),
            *_options(kubelet_certificate_authority=etc / "ca.crt", kubelet_preferred_address_types="InternalIP"),
            *_options(**pair("admin", "kubelet_client_certificate", "kubelet_client_key")),
            # For extensions of the API, such as metrics-server
            *_options(requestheader_client_ca_file=etc / "ca.crt", requestheader_allowed_names="front-proxy"),
            *_options(
                requestheader_username_headers="X-Remote-User",
                requestheader_group_headers="X-Remote-Group",
                requestheader_extra_headers_prefix="X-Remote-Extra-",
            ),
            *_options(**pair("front-proxy", "proxy_client_cert_file", "proxy_client_key_file")),
        ],
        "kube-controller-manager": [
            "kube-controller-manager",
            *_options(kubeconfig=SLOT.kubeconfig, leader_elect=False, bind_address="127.0.0.1"),
            *_options(service_account_private_key_file=etc / "server.key", root_ca_file=etc / "ca.crt"),
            *_options(allocate_node_cidrs=True, cluster_cidr=PODS),
        ],
        "kube-scheduler": [
            "kube-scheduler",
            *_options(kubeconfig=SLOT.kubeconfig, leader_elect=False, bind_address="127.0.0.1"),
        ],
        "kubelet": [
            "kubelet",
            *_options(config=etc / "kubelet.json", kubeconfig=etc / "kubelet.kubeconfig"),
            *_options(node_ip=ADDRESS, hostname_override=NAME, root_dir=SLOT.run / "kubelet"),
        ],
        "kube-proxy": ["kube-proxy", *_options(config=etc / "proxy.json")],
        # Only enforces NetworkPolicies
        "kube-router": [
            "kube-router",
            *_options(kubeconfig=SLOT.kubeconfig, hostname_override=NAME, run_firewall=True),
            *_options(run_router=False, run_service_proxy=False, run_loadbalancer=False),
            # It accepts all traffic to Services, assuming that policies of their pods apply; but the node is not a pod
            *_options(service_cluster_ip_range=SERVICES),
        ],
    }
