"""A stack's folder, for the commands of airis that read a stack file."""

from tests.cluster.stacks import Engined, Stack
from tests.pulumi_project import Project, prepared


def project_of(stack: Stack) -> Project:
    """Returns the folder of a stack that Pulumi deploys, or else a new one, without a file for the stack."""
    if isinstance(stack, Engined):
        return stack.project
    folder, kubectl = stack.folder / "project", stack.target.kubectl
    return Project(folder, kubectl, prepared(folder, kubectl.kubeconfig))
