"""The programs of a real node and of the pods that serve it, built from pinned Go modules and kept in the user's cache.

Each folder below `go/` pins one module set; `go/kubernetes` has the sandbox's version of Kubernetes, which a test compares.
"""

from pathlib import Path

from airis.cluster.programs.binaries import Binaries, Program, building, ensure
from airis.cluster.programs.cache import cache_root

GO = Path(__file__).with_name("go")


def _programs(pins: str, *packages: str, tags: str = "", cgo: bool = False) -> tuple[Program, ...]:
    return tuple(
        Program(each.rpartition("/")[2], each, pins=GO / pins, tags=tags, cgo=cgo)  # nobody's releases: built here
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
    # Debian's runc 1.1 fails on newer kernels; libseccomp gives pods their RuntimeDefault profile
    _programs("runc", "github.com/opencontainers/runc", tags="seccomp", cgo=True),
    _programs("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),
)
"""What runs on the node itself, besides the programs of the sandbox."""

PODS = (
    (Program("coredns", ".", pins=GO / "coredns", source="github.com/coredns/coredns"),),
    _programs("local-path-provisioner", "github.com/rancher/local-path-provisioner"),
    _programs("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),
    # The newest that builds from modules: the ACME library of later ones needs modules that no proxy serves
    _programs("traefik", "github.com/traefik/traefik/v3/cmd/traefik"),
)
"""What runs in pods that serve the node."""


def _ensure(programs: tuple[Program, ...]) -> Binaries:
    return ensure([building(cache_root())], programs=programs)


def program(name: str) -> Path:
    """The path of a program, verified; it is built first where it is not cached.

    Raises EnvironmentProblem where it cannot be built, KeyError for a name that is not here.
    """
    owners = {each.name: programs for programs in (*NODE, *PODS) for each in programs}
    return _ensure(owners[name]).path(name)


def version(name: str) -> str:
    """The pinned version of a program, as `v1.15.0`."""
    return next(each.version for programs in (*NODE, *PODS) for each in programs if each.name == name)


def folders() -> list[Path]:
    """The folders with all programs that run on the node, the sandbox's among them; the first run builds them.

    Raises EnvironmentProblem where they cannot be built.
    """
    return [ensure().folder, *(_ensure(programs).folder for programs in NODE)]
