"""Third-party commands that the pages may use: each with its flags and its documentation.

A command that is missing here fails the test: add it with its source. kubectl and airis are not here, because they can be
queried themselves, as can Pulumi if it is installed.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A command as its vendor documents it."""

    source: str
    flags: frozenset[str]


def _known(source: str, flags: str = "") -> Known:
    return Known(source, frozenset(flags.split()))


_PULUMI = "https://www.pulumi.com/docs/iac/cli/commands/pulumi_"
_GCLOUD = "https://cloud.google.com/sdk/gcloud/reference/container/"
_AZURE = "https://learn.microsoft.com/cli/azure/"
_EKSCTL = "https://docs.aws.amazon.com/eks/latest/eksctl/"
_MINIKUBE = "https://minikube.sigs.k8s.io/docs/commands/"
_HELM = "https://helm.sh/docs/helm/helm_"
_POSIX = "https://pubs.opengroup.org/onlinepubs/9799919799/utilities/"

PULUMI: Mapping[str, Known] = {
    "pulumi cancel": _known(f"{_PULUMI}cancel/", "--stack --yes"),
    "pulumi config set": _known(f"{_PULUMI}config_set/", "--stack --path --secret"),
    "pulumi destroy": _known(f"{_PULUMI}destroy/", "--stack --yes --exclude-protected"),
    "pulumi install": _known(f"{_PULUMI}install/"),
    "pulumi login": _known(f"{_PULUMI}login/"),
    "pulumi plugin install": _known(f"{_PULUMI}plugin_install/"),
    "pulumi preview": _known(f"{_PULUMI}preview/", "--stack -s --diff --policy-pack --expect-no-changes"),
    "pulumi refresh": _known(f"{_PULUMI}refresh/", "--stack --yes --preview-only --expect-no-changes"),
    "pulumi stack": _known(f"{_PULUMI}stack/", "--stack --show-urns"),
    "pulumi stack export": _known(f"{_PULUMI}stack_export/", "--stack --file"),
    "pulumi stack import": _known(f"{_PULUMI}stack_import/", "--stack --file"),
    "pulumi stack init": _known(f"{_PULUMI}stack_init/", "--secrets-provider"),
    "pulumi stack rm": _known(f"{_PULUMI}stack_rm/", "--stack --force --preserve-config"),
    "pulumi state delete": _known(f"{_PULUMI}state_delete/", "--force"),
    "pulumi state unprotect": _known(f"{_PULUMI}state_unprotect/", "--stack --all"),
    "pulumi up": _known(f"{_PULUMI}up/", "--stack -s --yes --policy-pack"),
}
"""Subcommands of Pulumi 3.2xx."""

OTHERS: Mapping[str, Known] = {
    "az aks create": _known(
        f"{_AZURE}aks#az-aks-create", "--resource-group --name --node-count --node-vm-size --generate-ssh-keys"
    ),
    "az aks get-credentials": _known(f"{_AZURE}aks#az-aks-get-credentials", "--resource-group --name"),
    "az aks nodepool add": _known(
        f"{_AZURE}aks/nodepool#az-aks-nodepool-add",
        "--resource-group --cluster-name --name --node-count --node-vm-size --node-taints --labels",
    ),
    "az group create": _known(f"{_AZURE}group#az-group-create", "--name --location"),
    "az group delete": _known(f"{_AZURE}group#az-group-delete", "--name"),
    "base64": _known("https://www.gnu.org/software/coreutils/manual/html_node/base64-invocation.html", "-d"),
    "cat": _known(f"{_POSIX}cat.html"),
    "curl": _known("https://docs.k3s.io/quick-start", "-sfL"),
    "echo": _known(f"{_POSIX}echo.html"),
    "eksctl create cluster": _known(f"{_EKSCTL}creating-and-managing-clusters.html", "-f"),
    "eksctl delete cluster": _known(f"{_EKSCTL}creating-and-managing-clusters.html", "-f --disable-nodegroup-eviction"),
    "gcloud container clusters create": _known(
        f"{_GCLOUD}clusters/create", "--location --num-nodes --machine-type --enable-dataplane-v2"
    ),
    "gcloud container clusters delete": _known(f"{_GCLOUD}clusters/delete", "--location"),
    "gcloud container clusters get-credentials": _known(f"{_GCLOUD}clusters/get-credentials", "--location"),
    "gcloud container node-pools create": _known(
        f"{_GCLOUD}node-pools/create", "--cluster --location --num-nodes --machine-type --accelerator"
    ),
    "git fetch": _known("https://git-scm.com/docs/git-fetch", "--unshallow"),
    "git merge-base": _known("https://git-scm.com/docs/git-merge-base"),
    "git pull": _known("https://git-scm.com/docs/git-pull"),
    "grep": _known(f"{_POSIX}grep.html", "-c -E"),
    "helm get manifest": _known(f"{_HELM}get_manifest/", "--namespace"),
    "helm install": _known(f"{_HELM}install/", "--repo --namespace --create-namespace --set"),
    "helm rollback": _known(f"{_HELM}rollback/"),
    "helm uninstall": _known(f"{_HELM}uninstall/", "--namespace"),
    "helm upgrade": _known(f"{_HELM}upgrade/", "--version --namespace --reuse-values --set --set-string"),
    "kind create cluster": _known("https://kind.sigs.k8s.io/docs/user/quick-start/", "--name --config"),
    "kind delete cluster": _known("https://kind.sigs.k8s.io/docs/user/quick-start/", "--name"),
    "kind load docker-image": _known("https://kind.sigs.k8s.io/docs/user/quick-start/", "--name"),
    "k3s-uninstall.sh": _known("https://docs.k3s.io/installation/uninstall"),
    "minikube addons enable": _known(f"{_MINIKUBE}addons/"),
    "minikube delete": _known(f"{_MINIKUBE}delete/"),
    "minikube ip": _known(f"{_MINIKUBE}ip/"),
    "minikube start": _known(
        f"{_MINIKUBE}start/; for --gpus, https://minikube.sigs.k8s.io/docs/tutorials/nvidia/",
        "--driver --container-runtime --gpus --cpus --memory --cni --addons",
    ),
    "mkdir": _known(f"{_POSIX}mkdir.html", "-p"),
    "sh": _known(f"{_POSIX}sh.html", "-"),
    "tee": _known(f"{_POSIX}tee.html", "-a"),
}
"""Tools that create clusters, and common shell commands."""
