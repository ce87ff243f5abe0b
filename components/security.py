"""Security contexts for each level of Kubernetes' Pod Security Standards.

Source: Kubernetes, "Pod Security Standards". What the images need was measured: both run as an unknown user on a read-only
root filesystem, given their data folder, a scratch folder and a HOME.
"""

from pulumi_kubernetes.core.v1 import (
    CapabilitiesArgs,
    PodSecurityContextArgs,
    SeccompProfileArgs,
    SecurityContextArgs,
)

from settings.platform.platform import PodSecurity

UID = 10001
"""User, group and volume group of both workloads: above the range of the nodes' own users."""


def pod_context(level: PodSecurity) -> PodSecurityContextArgs | None:
    """The context of a whole pod; none at all for `privileged`."""
    if level == "privileged":
        return None
    seccomp = SeccompProfileArgs(type="RuntimeDefault")
    if level == "baseline":
        return PodSecurityContextArgs(seccomp_profile=seccomp)
    return PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=UID,
        run_as_group=UID,
        # Volumes that root once wrote become readable and writable for the group. On a large volume that takes minutes,
        # so it is done once, not at every start
        fs_group=UID,
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=seccomp,
    )


def container_context(level: PodSecurity) -> SecurityContextArgs | None:
    """The context of a container; none at all for `privileged`."""
    if level == "privileged":
        return None
    if level == "baseline":
        return SecurityContextArgs(allow_privilege_escalation=False)
    return SecurityContextArgs(
        allow_privilege_escalation=False,
        capabilities=CapabilitiesArgs(drop=["ALL"]),
        privileged=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
    )
