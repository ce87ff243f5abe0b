"""The programs of a real node and of its system pods, built from pinned Go modules and kept in the user's cache.

Each folder below `go/` pins one set of modules; `go/kubernetes` has the sandbox's version of Kubernetes, as a test verifies.
"""

from pathlib import Path

from airis.cluster.programs.binaries import Binaries, Program, building, ensure
from airis.cluster.programs.cache import cache_root

GO = Path(__file__).with_name("go")


def _programs(pins: str, *packages: str, tags: str = "", cgo: bool = False) -> tuple[Program, ...]:
    return tuple(
        Program(
            each.rpartition("/")[2], each, pins=GO / pins, tags=tags, cgo=cgo
        )  # built here, without release binaries
        for each in packages
    )


NODE = (
    _programs("kubernetes", "k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes/cmd/kube-proxy"),
    _programs(
        "containerd",
        *(
            f"github.com/containerd/containerd/v2/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        tags="no_btrfs,no_devmapper,no_zfs",
    ),
    # Debian's runc 1.1 fails on newer kernels; libseccomp is needed for the RuntimeDefault profile
    _programs("runc", "github.com/opencontainers/runc", tags="seccomp", cgo=True),
    _programs("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),
)
"""Programs on the node itself, in addition to those of the sandbox."""

PODS = (
    (Program("coredns", ".", pins=GO / "coredns", source="github.com/coredns/coredns"),),
    _programs("local-path-provisioner", "github.com/rancher/local-path-provisioner"),
    _programs("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),
    # The newest that builds from modules: the ACME library of later ones needs modules that are not on the proxy
    _programs("traefik", "github.com/traefik/traefik/v3/cmd/traefik"),
)
"""Programs in system pods."""


def _ensure(programs: tuple[Program, ...]) -> Binaries:
    return ensure([building(cache_root())], programs=programs)


def program(name: str) -> Path:
    """The verified path of a program; builds it first if it is not cached.

    Raises EnvironmentProblem if it cannot be built, KeyError for an unknown name.
    """
    owners = {each.name: programs for programs in (*NODE, *PODS) for each in programs}
    return _ensure(owners[name]).path(name)


def version(name: str) -> str:
    """The pinned version of a program, such as `v1.15.0`."""
    return next(each.version for programs in (*NODE, *PODS) for each in programs if each.name == name)


def folders() -> list[Path]:
    """The folders with all programs of the node, including the sandbox's; the first run builds them.

    Raises EnvironmentProblem if they cannot be built.
    """
    return [ensure().folder, *(_ensure(programs).folder for programs in NODE)]
