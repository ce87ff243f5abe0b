"""`airis adopt` on a real API server, as far as that goes without the engine."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from airis.adopt import adopt
from airis.cluster.kubectl import Kubectl, KubectlError
from airis.rehearse.sandbox import Sandbox
from airis.render import manifest, program
from airis.stack_file.stacks import read_stack
from airis.terminal.errors import AirisError, EnvironmentProblem, ExitCode
from tests.rehearsal.moving import apply_helm, apply_reference, marked, markers, versions
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(180)

Adopt = Callable[..., str]


def yes(_question: str) -> bool:
    return True


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_sandbox: Sandbox) -> Path:
    """A folder with the program and no stack, on a sandbox with nothing in it; kubectl is the sandbox's own."""
    for name in ("__main__.py", "Pulumi.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(clean_sandbox.kubeconfig))
    monkeypatch.setenv("PATH", f"{clean_sandbox.kubectl.binary.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.fixture
def adopting(project: Path, capsys: pytest.CaptureFixture[str]) -> Adopt:
    """Adopts as the stack `moved`; returns what is said."""

    def run(**options: Any) -> str:
        adopt("moved", **options)
        return capsys.readouterr().out

    return run


def written(project: Path, name: str = "moved") -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((project / f"Pulumi.{name}.yaml").read_text())["config"]
    return loaded


def wanted(project: Path) -> list[dict[str, Any]]:
    rendering = program.run(read_stack("moved", project))
    return [manifest.manifest(each) for each in manifest.in_order(rendering.objects)]


def managers(kubectl: Kubectl, *args: str) -> set[str]:
    (body,) = kubectl.get(*args, "--show-managed-fields")
    return {each["manager"] for each in body["metadata"]["managedFields"] if "subresource" not in each}


def refused(adopting: Adopt, sandbox: Sandbox, namespace: str, **options: Any) -> AirisError:
    """The error, after which nothing in the namespace is another than before, and no file was written."""
    before = versions(sandbox, namespace)
    with pytest.raises(AirisError) as caught:
        adopting(namespace=namespace, ask=yes, **options)
    assert versions(sandbox, namespace) == before
    assert not Path("Pulumi.moved.yaml").exists()
    return caught.value


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_the_reference_is_described_and_handed_over_and_nothing_restarts(
    overlay: str, adopting: Adopt, project: Path, clean_sandbox: Sandbox
) -> None:
    apply_reference(clean_sandbox, overlay)
    marked(clean_sandbox)
    kubectl, there = clean_sandbox.kubectl, "--namespace=airis"
    specs = {
        each["kind"] + each["metadata"]["name"]: each["spec"] for each in kubectl.get("deployments,services", there)
    }
    before, on_volumes = versions(clean_sandbox, "airis"), markers(clean_sandbox)

    told = adopting()
    assert versions(clean_sandbox, "airis") == before  # nobody said yes

    again = adopting(ask=yes)
    assert "Pulumi.moved.yaml is from an earlier run" in again
    assert "the cluster is prepared" in again

    settings = written(project)
    assert settings["airis:podSecurity"] == "baseline"  # the data is root's
    assert settings["airis:ollama"]["image"] == "ollama/ollama:latest"
    assert settings["airis:ollama"]["storage"] == {"size": "30Gi"}
    assert settings["airis:ollama"].get("gpu") == (None if overlay == "base" else {"count": 1})
    assert settings["airis:webui"]["storage"] == {"size": "2Gi", "storageClass": "standard"}
    assert settings["airis:webui"]["service"].keys() == {"type", "nodePort"}
    assert settings["airis:ingress"] == {"host": "airis.minikube.local"}
    assert settings["airis:takeover"] == {"enabled": True}
    removed = '- spec.template.spec.containers[main].resources.limits[nvidia.com/gpu] "0"'
    assert (removed in told) == (overlay == "base")
    assert "StatefulSet/ollama takes over StatefulSet/ollama; its pods are replaced" in told
    # nothing but the record of owners has changed, and where a pod waits for ever, the number of pods
    assert specs == {
        each["kind"] + each["metadata"]["name"]: each["spec"] for each in kubectl.get("deployments,services", there)
    }
    (ollama,) = kubectl.get("statefulset", "ollama", there)
    assert ollama["spec"]["replicas"] == (1 if overlay == "base" else 0)
    for kind, name in (("statefulset", "ollama"), ("deployment", "airis-deployment"), ("service", "ollama-service")):
        owners = managers(kubectl, kind, name, there)
        assert "airis" in owners
        assert not any(each.startswith("kubectl") for each in owners)
    # so the server takes the whole render without force, and removes what is stale
    kubectl.apply([each for each in wanted(project) if each["kind"] != "Secret"], dry_run=True)
    kubectl.apply([each for each in wanted(project) if each["kind"] != "Secret"])
    (ollama,) = kubectl.get("statefulset", "ollama", there)
    limits = ollama["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits.get("nvidia.com/gpu") == (None if overlay == "base" else "1")
    assert markers(clean_sandbox) == on_volumes


def test_a_helm_release_is_described_and_stopped_after_asking(
    adopting: Adopt, project: Path, clean_sandbox: Sandbox
) -> None:
    apply_helm(clean_sandbox)
    before = versions(clean_sandbox, "chat")

    told = adopting(namespace="chat")
    assert versions(clean_sandbox, "chat") == before
    settings = written(project)
    text = (project / "Pulumi.moved.yaml").read_text()
    assert "Helm release open-webui (open-webui-16.0.0)" in told
    assert "not adopted: Deployment/open-webui-pipelines, Deployment/open-webui-redis" in told
    assert settings["airis:webui"]["storage"] == {"size": "5Gi", "existingClaim": "open-webui"}
    assert settings["airis:ollama"]["storage"] == {"size": "40Gi", "existingClaim": "open-webui-ollama"}
    assert settings["airis:ollama"]["gpu"] == {"count": 1, "nodeLabels": {}}
    assert "tolerations" not in settings["airis:ollama"]  # gpu.taint says the same
    assert settings["airis:ollama"]["models"] == ["llama3.2:1b"]
    assert settings["airis:webui"]["logging"] == {"level": "DEBUG"}
    assert settings["airis:webui"]["auth"] == {"defaultRole": "user"}
    assert settings["airis:webui"]["sessionKeyFrom"] == {"name": "webui-session", "key": "key"}
    assert settings["airis:webui"]["env"] == {"WEBUI_NAME": "Team chat"}
    assert settings["airis:webui"]["secretEnv"] == {"SMTP_PASSWORD": {"name": "airis-adopted", "key": "SMTP_PASSWORD"}}
    assert [each["url"] for each in settings["airis:webui"]["connections"]["openai"]] == [
        "http://open-webui-pipelines.chat.svc.cluster.local:9099",
        "https://api.openai.com/v1",
    ]
    assert settings["airis:ingress"] == {
        "host": "chat.example.com",
        "className": "nginx",
        "tls": {"secretName": "chat-tls"},
        "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "50m"},
    }
    assert "not-a-real-password" not in text + told
    assert "create secret generic airis-adopted" in told

    adopting(ask=yes)
    kubectl, there = clean_sandbox.kubectl, "--namespace=chat"
    assert [each["spec"]["replicas"] for each in kubectl.get("statefulsets", there)] == [0]
    assert kubectl.get("pods", "--selector=app.kubernetes.io/component in (open-webui,open-webui-ollama)", there) == []
    assert len(kubectl.get("pods", there)) == 2  # the others run on
    for name in ("open-webui", "open-webui-ollama"):
        (claim,) = kubectl.get("persistentvolumeclaim", name, there)
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    kubectl.apply([each for each in wanted(project) if each["kind"] != "Secret"], dry_run=True)


def test_a_stack_file_is_never_written_over(adopting: Adopt, project: Path, clean_sandbox: Sandbox) -> None:
    apply_reference(clean_sandbox)
    own = "config:\n  airis:ingress: {host: mine.example.com}\n"
    (project / "Pulumi.moved.yaml").write_text(own)
    before = versions(clean_sandbox, "airis")

    with pytest.raises(AirisError, match=r"Pulumi\.moved\.yaml exists, and is never overwritten") as caught:
        adopting(ask=yes)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert versions(clean_sandbox, "airis") == before
    assert "Pulumi.moved-adopted.yaml" in adopting(force=True)

    assert (project / "Pulumi.moved.yaml").read_text() == own
    assert written(project, "moved-adopted")["airis:ingress"] == {"host": "airis.minikube.local"}


def test_no_such_namespace_and_an_empty_one(adopting: Adopt, clean_sandbox: Sandbox) -> None:
    error = refused(adopting, clean_sandbox, "nowhere")
    assert (error.message, error.exit_code) == ("there is no namespace nowhere", ExitCode.BAD_INPUT)

    clean_sandbox.kubectl.run("create", "namespace", "empty")
    error = refused(adopting, clean_sandbox, "empty")
    assert "has neither Open WebUI nor Ollama" in error.message


def test_something_else_under_the_same_names(adopting: Adopt, clean_sandbox: Sandbox) -> None:
    kubectl, there = clean_sandbox.kubectl, "--namespace=airis"
    kubectl.run("create", "namespace", "airis")
    kubectl.run("create", "deployment", "airis-deployment", "--image=nginx:1.27", there)
    error = refused(adopting, clean_sandbox, "airis")
    assert (
        "Deployment/airis-deployment has the name of Open WebUI or Ollama, but runs another application"
        in error.message
    )

    kubectl.run("delete", "namespace", "airis")
    apply_reference(clean_sandbox)
    kubectl.run("create", "secret", "generic", "airis-secrets", "--from-literal=a=b", there)
    kubectl.run("create", "service", "clusterip", "ollama", "--tcp=80:80", there)
    error = refused(adopting, clean_sandbox, "airis")
    assert "Secret/airis-secrets, Service/ollama exists, but does not belong to this deployment" in error.message


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (("deployment", "airis-deployment"), "namespace airis has Ollama (StatefulSet/ollama), but no Open WebUI"),
        (("statefulset", "ollama"), "incomplete deployment: no Ollama uses the claim ollama-volume-ollama-0"),
        (("deployment,statefulset", "--all"), "incomplete deployment: no workload uses PersistentVolumeClaim/"),
        (("persistentvolumeclaim", "airis-pvc", "--wait=false"), "the claim airis-pvc is being deleted"),
    ],
)
def test_incomplete_deployments_are_refused(
    gone: tuple[str, ...], words: str, adopting: Adopt, clean_sandbox: Sandbox
) -> None:
    apply_reference(clean_sandbox)
    clean_sandbox.kubectl.run("delete", *gone, "--namespace=airis")
    if "--all" in gone:
        clean_sandbox.kubectl.run("wait", "pods", "--for=delete", "--all", "--namespace=airis", "--timeout=60s")
    error = refused(adopting, clean_sandbox, "airis")
    assert words in error.message
    assert error.exit_code is ExitCode.BAD_INPUT


def test_a_second_pod_on_the_same_claim_is_refused(adopting: Adopt, clean_sandbox: Sandbox) -> None:
    apply_reference(clean_sandbox)
    (deployment,) = clean_sandbox.kubectl.get("deployment", "airis-deployment", "--namespace=airis")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "copy", "namespace": "airis"},
        "spec": {
            "containers": [{"name": "copy", "image": "busybox:1.37"}],
            "volumes": deployment["spec"]["template"]["spec"]["volumes"],
        },
    }
    clean_sandbox.kubectl.apply([pod])
    error = refused(adopting, clean_sandbox, "airis")
    assert "Pod/copy also uses the claim airis-pvc of Deployment/airis-deployment" in error.message


def restricted(sandbox: Sandbox, folder: Path, *rules: tuple[str, str, str]) -> Path:
    """A kubeconfig of a ServiceAccount that may do this and nothing else: verbs, API group, resources."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mover", "namespace": "default"}}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "mover"},
        "rules": [
            {"verbs": verbs.split(","), "apiGroups": [group], "resources": resources.split(",")}
            for verbs, group, resources in rules
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "mover"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "mover"},
        "subjects": [{"kind": "ServiceAccount", "name": "mover", "namespace": "default"}],
    }
    sandbox.kubectl.apply([account, role, binding])
    token = sandbox.kubectl.run("create", "token", "mover", "--namespace=default").strip()
    config = yaml.safe_load(sandbox.kubeconfig.read_text())
    config["users"] = [{"name": each["name"], "user": {"token": token}} for each in config["users"]]
    file = folder / "mover.kubeconfig"
    file.write_text(json.dumps(config))
    return file


LOOK = (
    ("get,list", "", "namespaces,services,persistentvolumeclaims,pods,serviceaccounts,secrets,configmaps"),
    ("get,list", "apps", "deployments,statefulsets,daemonsets"),
    ("get,list", "networking.k8s.io", "ingresses,networkpolicies"),
)


def test_without_the_rights_nothing_is_done(adopting: Adopt, project: Path, clean_sandbox: Sandbox) -> None:
    apply_reference(clean_sandbox)
    before = versions(clean_sandbox, "airis")

    for rules in ((), LOOK):  # may not even look; may look, and try nothing
        error = refused(adopting, clean_sandbox, "airis", kubeconfig=restricted(clean_sandbox, project, *rules))
        assert error.exit_code is ExitCode.ENVIRONMENT
        assert "permission denied by the cluster" in error.message
        assert "nothing was changed" in error.remedy

    tries = (
        ("update,create", "", "namespaces,services,persistentvolumeclaims,serviceaccounts,configmaps"),
        ("update,create", "apps", "deployments,statefulsets"),
        ("update,create", "networking.k8s.io", "ingresses,networkpolicies"),
        ("patch", "", "services,namespaces"),
    )
    with pytest.raises(EnvironmentProblem, match="permission denied by the cluster"):  # may hand over some of it
        adopting(kubeconfig=restricted(clean_sandbox, project, *LOOK, *tries), ask=yes)
    assert versions(clean_sandbox, "airis") == before
    assert written(project)["kubernetes:kubeconfig"] == str(project / "mover.kubeconfig")

    enough = (
        ("update,create,patch", "", "services,persistentvolumeclaims,serviceaccounts,namespaces,configmaps"),
        ("update,create,patch", "apps", "deployments,statefulsets,deployments/scale,statefulsets/scale"),
        ("update,create,patch", "networking.k8s.io", "ingresses,networkpolicies"),
    )
    restricted(clean_sandbox, project, *LOOK, *enough)  # as docs/moving.md lists them
    assert "the cluster is prepared" in adopting(ask=yes)


def test_an_api_server_that_is_away(adopting: Adopt, project: Path, clean_sandbox: Sandbox) -> None:
    config = yaml.safe_load(clean_sandbox.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = project / "away.kubeconfig"
    file.write_text(json.dumps(config))

    error = refused(adopting, clean_sandbox, "default", kubeconfig=file)

    assert error.exit_code is ExitCode.ENVIRONMENT
    assert "the API server does not answer" in error.message


def test_an_api_server_that_goes_away_in_the_middle(
    adopting: Adopt, project: Path, clean_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kubectl is cut off after a number of writes: what is told is done, and the same command does the rest."""
    apply_reference(clean_sandbox)
    adopting()
    folder, count = project / "bin", project / "writes"
    folder.mkdir()
    wrapper = folder / "kubectl"
    wrapper.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "  *--dry-run*) ;;\n"
        f"  *' patch '*) echo x >> {count}\n"
        f"    if [ $(wc -l < {count}) -gt 2 ]; then\n"
        "      echo 'The connection to the server 127.0.0.1:1 was refused' >&2; exit 1; fi ;;\n"
        "esac\n"
        f'exec {clean_sandbox.kubectl.binary} "$@"\n'
    )
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(KubectlError, match="the API server stopped answering") as caught:
            adopting(ask=yes)

    assert caught.value.exit_code is ExitCode.NOT_READY
    assert (
        "done so far: Namespace/airis handed over; PersistentVolumeClaim/airis-pvc handed over" in caught.value.remedy
    )
    there = "--namespace=airis"
    assert "airis" not in managers(clean_sandbox.kubectl, "statefulset", "ollama", there)

    assert "the cluster is prepared" in adopting(ask=yes)
    assert managers(clean_sandbox.kubectl, "statefulset", "ollama", there) == {"airis"}


def test_somebody_who_writes_at_the_same_time_is_not_overwritten(adopting: Adopt, clean_sandbox: Sandbox) -> None:
    """A field that another program keeps is told before the first up, with its name."""
    apply_reference(clean_sandbox)
    identity = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "airis-deployment", "namespace": "airis"},
    }
    (live,) = clean_sandbox.kubectl.get("deployment", "airis-deployment", "--namespace=airis")
    spec = {key: live["spec"][key] for key in ("selector", "template")} | {"strategy": {"type": "RollingUpdate"}}
    clean_sandbox.kubectl.apply([{**identity, "spec": spec}], field_manager="scaler", force_conflicts=True)

    with pytest.raises(AirisError, match="scaler"):
        adopting(ask=yes)
