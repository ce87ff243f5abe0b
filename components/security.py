"""Security contexts for each level of Kubernetes' Pod Security Standards.

Source: Kubernetes, "Pod Security Standards". The needs of the images were measured: both run as an unknown user on a read-only
root filesystem, if they have their data directory, a scratch directory and a HOME.
"""

from pulumi_kubernetes.core.v1 import (
    CapabilitiesArgs,
    PodSecurityContextArgs,
    SeccompProfileArgs,
    SecurityContextArgs,
)

from settings.platform.platform import PodSecurity

UID = 10001
"""User, group and fsGroup of both workloads: above the range of the nodes' users."""


def pod_context(level: PodSecurity) -> PodSecurityContextArgs | None:
    """The security context of a pod; None for `privileged`."""
    if level == "privileged":
        return None
    seccomp = SeccompProfileArgs(type="RuntimeDefault")
    if level == "baseline":
        return PodSecurityContextArgs(seccomp_profile=seccomp)
    return PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=UID,
        run_as_group=UID,
        # Files that root wrote on a volume become readable and writable for the group. On a large volume this takes
        # minutes, so it is done once, not at every start
        fs_group=UID,
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=seccomp,
    )


def container_context(level: PodSecurity) -> SecurityContextArgs | None:
    """The security context of a container; None for `privileged`."""
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
