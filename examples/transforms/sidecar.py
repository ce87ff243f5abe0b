"""Adds a sidecar to the WebUI's pods, and a ConfigMap with its configuration, which no setting of airis covers.

In the stack file:

    airis:transform:
      file: examples/transforms/sidecar.py
"""

import pulumi
from pulumi_kubernetes.apps.v1 import DeploymentSpecArgs
from pulumi_kubernetes.core.v1 import (
    CapabilitiesArgs,
    ConfigMap,
    ConfigMapVolumeSourceArgs,
    ContainerArgs,
    ResourceRequirementsArgs,
    SecurityContextArgs,
    VolumeArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

NAME = "fluent-bit"
IMAGE = "fluent/fluent-bit:4.0.5"
CONFIGURATION = """\
pipeline:
  inputs:
    - {name: tail, path: /data/audit.log}
  outputs:
    - {name: stdout, match: "*"}
"""


def transform(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """Adds the container and its volume to the WebUI's Deployment. Specs are the typed Args classes, not dicts."""
    if args.type_ != "kubernetes:apps/v1:Deployment":
        return None
    spec: DeploymentSpecArgs = args.props["spec"]
    pod = spec.template.spec
    pod.containers.append(
        ContainerArgs(
            name=NAME,
            image=IMAGE,
            args=["--config=/etc/fluent-bit/fluent-bit.yaml"],
            resources=ResourceRequirementsArgs(
                requests={"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "10Mi"},
                limits={"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "50Mi"},
            ),
            security_context=SecurityContextArgs(
                allow_privilege_escalation=False,
                capabilities=CapabilitiesArgs(drop=["ALL"]),
                read_only_root_filesystem=True,
            ),
            volume_mounts=[
                VolumeMountArgs(name=NAME, mount_path="/etc/fluent-bit"),
                VolumeMountArgs(name="webui-volume", mount_path="/data", read_only=True),
            ],
        )
    )
    pod.volumes.append(VolumeArgs(name=NAME, config_map=ConfigMapVolumeSourceArgs(name=NAME)))
    return pulumi.ResourceTransformationResult(args.props, args.opts)


def objects(namespace: pulumi.Output[str], opts: pulumi.ResourceOptions) -> None:
    """Adds the ConfigMap that the sidecar reads."""
    ConfigMap(
        NAME,
        metadata=ObjectMetaArgs(name=NAME, namespace=namespace),
        data={"fluent-bit.yaml": CONFIGURATION},
        opts=opts,
    )
