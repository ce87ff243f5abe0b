"""The folder of a stack, for airis commands that read a stack file."""

from tests.cluster.stacks import Engined, Stack
from tests.pulumi_project import Project, prepared


def project_of(stack: Stack) -> Project:
    """Returns the folder of a stack that Pulumi deploys, otherwise a new folder without a stack file."""
    if isinstance(stack, Engined):
        return stack.project
    folder, kubectl = stack.folder / "project", stack.target.kubectl
    return Project(folder, kubectl, prepared(folder, kubectl.kubeconfig))
