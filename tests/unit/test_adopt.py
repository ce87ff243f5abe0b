"""From what runs to a stack file, and who owns which field, on plain objects."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from airis.adopt.changes import _lines
from airis.adopt.cluster import problem
from airis.adopt.discovery import Found, look
from airis.adopt.handover import handed_over, merged
from airis.adopt.stack_file import Draft, as_yaml, drafted, settings_of
from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError
from airis.diff.fields import masked
from airis.render import program
from airis.stack_file.schema import REFERENCE_LINE
from airis.stack_file.stacks import read_stack
from airis.terminal.errors import AirisError, EnvironmentProblem, ExitCode
from components.takeover import _runs
from tests.unit import kustomize
from tests.unit.conftest import Command, Refuse
from tests.unit.drawing import draw, draw_once, env, find, pod_spec
from tests.unit.drawing import manifest as rendered
from tests.unit.fields import fields

pytestmark = pytest.mark.timeout(60)

Objects = list[dict[str, Any]]


class Server:
    """A cluster that only looks: the objects that it was given."""

    namespace = "airis"

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def get(self, kinds: str, *args: str) -> Objects:
        if kinds == "namespace":
            return [each for each in self.objects if each["kind"] == "Namespace"]
        return [each for each in self.objects if each["kind"] != "Namespace"]


def reference(overlay: str = "base") -> Objects:
    """The Kustomize deployment as the API server has it, as far as that matters here."""
    objects = copy.deepcopy(kustomize.render(kustomize.REFERENCE / overlay))
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "ollama-volume-ollama-0"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "30Gi"}}},
    }
    for index, each in enumerate([*objects, claim]):
        each["metadata"]["uid"] = f"uid-{index}"
        if each["kind"] == "PersistentVolumeClaim":
            each["spec"]["storageClassName"] = "standard"
    return [*objects, claim]


def pod_of(objects: Objects, kind: str) -> dict[str, Any]:
    """The spec of the pods of the one workload of a kind, to be changed."""
    (found,) = [each for each in objects if each["kind"] == kind]
    return cast(dict[str, Any], found["spec"]["template"]["spec"])


def found(objects: Objects) -> Found:
    return look(cast(Cluster, Server(objects)))


def draft_of(objects: Objects) -> Draft:
    return drafted(found(objects))


def with_env(*variables: dict[str, Any], kind: str = "Deployment") -> Draft:
    objects = reference()
    pod_of(objects, kind)["containers"][0].setdefault("env", []).extend(variables)
    return draft_of(objects)


def refusal(objects: Objects) -> AirisError:
    with pytest.raises(AirisError) as caught:
        draft_of(objects)
    return caught.value


def drawn(config: dict[str, Any]) -> program.Rendering:
    keys = {key.removeprefix("airis:"): value for key, value in config.items() if key.startswith("airis:")}
    return draw(**keys)


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_the_stack_file_brings_the_reference_back(overlay: str) -> None:
    """Every field of the reference is in the render with the same value, but for the limit of 0."""
    draft = draft_of(reference(overlay))
    rendering = drawn(draft.config)
    lost = []
    for each in kustomize.render(kustomize.REFERENCE / overlay):
        ours = dict(fields(rendered(rendering, each["kind"], each["metadata"]["name"])))
        lost += [path for path, value in fields(each) if ours.get(path) != value]
    limit = "spec.template.spec.containers[ollama].resources.limits[nvidia.com/gpu]"
    assert lost == ([limit] if overlay == "base" else [])
    assert draft.notes.dropped == []


def test_the_written_file_is_read_as_it_was_meant(tmp_path: Any) -> None:
    objects = reference("gpu")
    draft = draft_of(objects)
    (tmp_path / "Pulumi.moved.yaml").write_text(as_yaml(draft, found(objects), "moved"))
    stack = read_stack("moved", tmp_path)
    assert stack.config["kubernetes:upsertExistingObjects"] == "true"
    assert settings_of(stack.config) == draft.settings()
    assert stack.path.read_text().startswith(f"{REFERENCE_LINE}\n")


def test_a_typed_key_is_found_for_a_variable_and_checked() -> None:
    draft = with_env(
        {"name": "ENABLE_SIGNUP", "value": "false"},
        {"name": "DEFAULT_USER_ROLE", "value": "user"},
        {"name": "GLOBAL_LOG_LEVEL", "value": "debug"},
        {"name": "THREAD_POOL_SIZE", "value": "100"},
        {"name": "WEBUI_NAME", "value": "Chat"},
    )
    webui = draft.config["airis:webui"]
    assert webui["auth"] == {"signUp": False, "defaultRole": "user"}
    assert webui["logging"] == {"level": "DEBUG"}
    assert webui["threadPoolSize"] == 100
    assert webui["env"] == {"WEBUI_NAME": "Chat"}
    set_there = env(rendered(drawn(draft.config), "Deployment", "airis-deployment"))
    assert set_there["ENABLE_SIGNUP"] == "False"
    assert set_there["THREAD_POOL_SIZE"] == "100"


def test_a_value_that_no_key_can_say_is_told_and_left_out() -> None:
    draft = with_env({"name": "DEFAULT_USER_ROLE", "value": "admin"})
    assert "auth" not in draft.config["airis:webui"]
    (told,) = draft.notes.dropped
    assert told.startswith("the variable DEFAULT_USER_ROLE: airis:webui.auth.defaultRole decides on it")


def test_references_stay_references() -> None:
    secret = {"secretKeyRef": {"name": "own", "key": "k"}}
    draft = with_env(
        {"name": "WEBUI_SECRET_KEY", "valueFrom": secret},
        {"name": "SOME_TOKEN", "valueFrom": secret},
        {"name": "SOME_TEXT", "valueFrom": {"configMapKeyRef": {"name": "texts", "key": "t"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    )
    webui = draft.config["airis:webui"]
    assert webui["sessionKeyFrom"] == {"name": "own", "key": "k"}
    assert webui["secretEnv"] == {"SOME_TOKEN": {"name": "own", "key": "k"}}
    assert webui["configMapEnv"] == {"SOME_TEXT": {"name": "texts", "key": "t"}}
    assert draft.notes.dropped == ["the variable NODE: it is taken from fieldRef, which no setting covers"]
    assert draft.notes.credentials == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_PASSWORD", "hunter2-hunter2"),
        ("SOME_URL", "https://me:hunter2-hunter2@example.com"),
        ("X_API_KEY", "hunter2"),
    ],
)
def test_a_plain_credential_is_never_written(name: str, value: str) -> None:
    objects = reference()
    pod_of(objects, "Deployment")["containers"][0]["env"].append({"name": name, "value": value})
    draft = draft_of(objects)
    assert draft.config["airis:webui"]["secretEnv"] == {name: {"name": "airis-adopted", "key": name}}
    assert draft.notes.credentials == [name]
    assert "hunter2" not in as_yaml(draft, found(objects), "moved") + str(draft.notes)


def test_ollama_servers_of_others_stay_and_its_own_follows() -> None:
    objects = reference()
    (url,) = pod_of(objects, "Deployment")["containers"][0]["env"]
    url.update(name="OLLAMA_BASE_URLS", value=f"{url['value']};http://gpu.example.com:11434")
    draft = draft_of(objects)
    assert draft.config["airis:webui"]["connections"] == {"ollamaUrls": ["http://gpu.example.com:11434"]}


def test_its_own_server_under_another_name_is_one_of_before() -> None:
    objects = reference()
    (url,) = pod_of(objects, "Deployment")["containers"][0]["env"]
    url["value"] = "http://ollama-0.ollama.airis.svc.cluster.local:11434/"
    draft = draft_of(objects)
    former = ["http://ollama-0.ollama.airis.svc.cluster.local:11434"]
    assert draft.config["airis:webui"]["connections"] == {"formerOllamaUrls": former}


def test_the_clusters_domain_is_taken_from_the_url() -> None:
    objects = reference()
    (url,) = pod_of(objects, "Deployment")["containers"][0]["env"]
    url["value"] = "http://ollama-service.airis.svc.corp.example:11434"
    assert draft_of(objects).config["airis:clusterDomain"] == "corp.example"


def test_ollamas_own_variables_become_its_settings() -> None:
    draft = with_env(
        {"name": "OLLAMA_NUM_PARALLEL", "value": "4"},
        {"name": "OLLAMA_KEEP_ALIVE", "value": "30m"},
        {"name": "OLLAMA_HOST", "value": "0.0.0.0:11434"},
        kind="StatefulSet",
    )
    assert draft.config["airis:ollama"]["server"] == {"parallel": 4, "keepAlive": "30m"}
    assert draft.notes.dropped == []


def test_a_stale_gpu_condition_is_dropped_and_told() -> None:
    objects = reference("gpu")
    pod_of(objects, "StatefulSet")["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "0"
    draft = draft_of(objects)
    assert "gpu" not in draft.config["airis:ollama"]
    assert "nodeAffinity" not in draft.config["airis:ollama"]
    (told,) = draft.notes.dropped
    assert "the condition on nvidia.com/gpu.present: only GPU nodes meet it" in told


def test_placement_is_carried_over() -> None:
    objects = reference("gpu")
    pod = pod_of(objects, "StatefulSet")
    pod["tolerations"] = [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "team", "value": "ml", "effect": "NoSchedule"},
    ]
    pod["nodeSelector"] = {"pool": "gpu"}
    pod["priorityClassName"] = "high"
    pod["terminationGracePeriodSeconds"] = 120
    ollama = draft_of(objects).config["airis:ollama"]
    assert ollama["gpu"] == {"count": 1}  # the label and the taint are those of the preset
    assert ollama["tolerations"] == [{"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}]
    assert ollama["nodeSelector"] == {"pool": "gpu"}
    assert ollama["priorityClass"] == "high"
    assert ollama["terminationGracePeriodSeconds"] == 120


def test_restricted_is_kept_where_the_volumes_are_known_to_heed_it() -> None:
    objects = reference()
    for kind in ("Deployment", "StatefulSet"):
        pod_of(objects, kind)["securityContext"] = {"runAsUser": 1001, "runAsNonRoot": True, "fsGroup": 1001}
    assert "airis:podSecurity" not in draft_of(objects).config
    del pod_of(objects, "StatefulSet")["securityContext"]["fsGroup"]  # the volume may belong to that user alone
    assert draft_of(objects).config["airis:podSecurity"] == "baseline"


def test_ingress_with_an_issuer_and_the_old_annotation_of_the_class() -> None:
    objects = reference()
    (ingress,) = [each for each in objects if each["kind"] == "Ingress"]
    ingress["metadata"]["annotations"] = {
        "kubernetes.io/ingress.class": "nginx",
        "cert-manager.io/cluster-issuer": "letsencrypt",
        "nginx.ingress.kubernetes.io/proxy-body-size": "20m",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    ingress["spec"]["tls"] = [{"hosts": ["airis.minikube.local"], "secretName": "tls"}]
    assert draft_of(objects).config["airis:ingress"] == {
        "host": "airis.minikube.local",
        "className": "nginx",
        "tls": {"secretName": "tls", "clusterIssuer": "letsencrypt"},
        "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "20m"},
    }


def test_what_no_setting_covers_is_told() -> None:
    objects = reference()
    pod = pod_of(objects, "Deployment")
    pod["containers"].append({"name": "sidecar", "image": "busybox:1.37"})
    pod["initContainers"] = [{"name": "first", "image": "busybox:1.37"}]
    pod["containers"][0]["envFrom"] = [{"secretRef": {"name": "more"}}]
    pod["volumes"].append({"name": "config", "configMap": {"name": "texts"}})
    told = "\n".join(draft_of(objects).notes.dropped)
    for words in ("the container sidecar", "the init container first", "envFrom", "the volume config"):
        assert words in told


def test_how_the_stacks_own_pods_start_is_nothing_to_tell() -> None:
    """A stack that was rendered and applied without Pulumi."""
    objects = reference()
    pod_of(objects, "Deployment").update(pod_spec(rendered(draw_once(), "Deployment", "airis-deployment")))
    told = "\n".join(draft_of(objects).notes.dropped)
    for words in ("init container", "command", "the volume start"):
        assert words not in told


@pytest.mark.parametrize("setting", [None, False], ids=["by its pods", "by others"])
def test_that_the_stacks_own_server_does_not_migrate_is_nothing_to_keep(setting: bool | None) -> None:
    database = {"host": "postgres.data.svc", "passwordFrom": {"name": "postgres", "key": "password"}}
    objects = reference()
    applied = draw(webui={"database": {**database, "migrations": setting}})
    pod_of(objects, "Deployment").update(pod_spec(rendered(applied, "Deployment", "airis-deployment")))
    assert draft_of(objects).config["airis:webui"]["database"].get("migrations") is setting


def test_under_another_name_it_is_stopped_and_its_claim_is_used() -> None:
    objects = reference()
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    deployment["metadata"]["name"] = "open-webui-deployment"
    deployment["spec"]["replicas"] = 0  # stopped already
    config = draft_of(objects).config
    assert config["airis:webui"]["storage"] == {"size": "2Gi", "existingClaim": "airis-pvc"}
    assert "replicas" not in config["airis:webui"]
    assert config["airis:ollama"]["storage"] == {"size": "30Gi"}
    assert config["airis:takeover"]["stopped"] == [{"kind": "Deployment", "name": "open-webui-deployment"}]


def test_a_paused_deployment_stays_paused() -> None:
    objects = reference()
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    deployment["spec"]["replicas"] = 0
    assert draft_of(objects).config["airis:webui"]["replicas"] == 0


def emptied(objects: Objects) -> None:
    pod_of(objects, "Deployment")["volumes"] = [{"name": "webui-volume", "emptyDir": {}}]


def on_a_node(objects: Objects) -> None:
    pod_of(objects, "Deployment")["volumes"] = [{"name": "webui-volume", "hostPath": {"path": "/data"}}]


def in_a_folder(objects: Objects) -> None:
    pod_of(objects, "Deployment")["containers"][0]["volumeMounts"][0]["subPath"] = "webui"


def elsewhere(objects: Objects) -> None:
    pod_of(objects, "StatefulSet")["containers"][0]["volumeMounts"][0]["mountPath"] = "/models"


def without_claim(objects: Objects) -> None:
    objects[:] = [each for each in objects if each["metadata"]["name"] != "airis-pvc"]


def twice(objects: Objects) -> None:
    (first,) = [each for each in objects if each["kind"] == "Deployment"]
    other = copy.deepcopy(first)
    other["metadata"].update(name="second", uid="other")
    objects.append(other)


def two_pods(objects: Objects) -> None:
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    deployment["spec"]["replicas"] = 2


def grown(objects: Objects) -> None:
    (claim,) = [each for each in objects if each["metadata"]["name"] == "ollama-volume-ollama-0"]
    claim["spec"]["resources"]["requests"]["storage"] = "60Gi"


def two_modes(objects: Objects) -> None:
    (claim,) = [each for each in objects if each["metadata"]["name"] == "airis-pvc"]
    claim["spec"]["accessModes"] = ["ReadWriteOnce", "ReadOnlyMany"]


def by_flux(objects: Objects) -> None:
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    deployment["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "apps"}


def by_pulumi(objects: Objects) -> None:
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    deployment["metadata"]["managedFields"] = [
        {"manager": "pulumi-kubernetes-1a2b", "operation": "Apply", "fieldsV1": {}}
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (emptied, "its data is in the pod, on no claim"),
        (on_a_node, "a volume of kind hostPath, which is not a claim"),
        (in_a_folder, "/app/backend/data is the folder webui of its volume"),
        (elsewhere, "mounted at /models, and none at a folder .ollama"),
        (without_claim, "its claim airis-pvc is not: half a deployment"),
        (twice, "Open WebUI is there 2 times: Deployment/airis-deployment, Deployment/second"),
        (two_pods, "airis:webui.replicas: 2"),
        (grown, "have different sizes: 30Gi, 60Gi"),
        (two_modes, "has the access modes ReadWriteOnce, ReadOnlyMany"),
        (by_flux, "is kept as it is by Flux"),
        (by_pulumi, "is kept as it is by another Pulumi stack"),
    ],
)
def test_what_cannot_be_moved_without_harm_is_refused(change: Any, words: str) -> None:
    objects = reference()
    change(objects)
    error = refusal(objects)
    assert words in error.message
    assert error.exit_code is ExitCode.BAD_INPUT


def entry(manager: str, owned: dict[str, Any], **further: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": owned, **further}


def body_of(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "a", "managedFields": list(entries)}}


WANTED = {"kind": "StatefulSet", "metadata": {"name": "a", "labels": {"app": "a"}}}


def test_what_deployers_own_is_handed_over_and_what_controllers_own_is_not() -> None:
    controller = entry("kube-controller-manager", {"f:status": {}}, subresource="status")
    own = entry("other-operator", {"f:spec": {"f:paused": {}}})
    body = body_of(
        "StatefulSet",
        entry("kubectl-client-side-apply", {"f:spec": {"f:replicas": {}, "f:template": {"f:x": {}}}}),
        entry("kubectl", {"f:spec": {"f:replicas": {}}}, subresource="scale"),
        entry("helm", {"f:metadata": {"f:labels": {"f:app": {}}}}),
        controller,
        own,
    )
    handed = handed_over(body, WANTED)
    assert handed is not None
    first, *rest = handed
    assert (first["manager"], first["operation"]) == ("airis", "Apply")
    assert first["fieldsV1"] == {
        "f:spec": {"f:replicas": {}, "f:template": {"f:x": {}}},
        "f:metadata": {"f:labels": {"f:app": {}}},
    }
    assert rest == [controller, own]


def test_nothing_is_handed_over_twice() -> None:
    assert handed_over(body_of("StatefulSet", entry("kube-scheduler", {"f:spec": {}})), WANTED) is None
    done = entry("airis", {"f:spec": {"f:replicas": {}}}) | {"operation": "Apply"}
    assert handed_over(body_of("StatefulSet", done), WANTED) is None
    both = handed_over(body_of("StatefulSet", done, entry("kubectl-edit", {"f:spec": {"f:paused": {}}})), WANTED)
    assert both is not None
    assert both[0]["fieldsV1"] == {"f:spec": {"f:replicas": {}, "f:paused": {}}}


@pytest.mark.parametrize("kind", ["Namespace", "PersistentVolumeClaim"])
def test_of_namespaces_and_claims_only_what_the_stack_sets_is_handed_over(kind: str) -> None:
    labels: dict[str, Any] = {"f:app": {}, "f:istio-injection": {}}
    spec: dict[str, Any] = {"f:storageClassName": {}, "f:resources": {"f:requests": {}}}
    handed = handed_over(body_of(kind, entry("kubectl", {"f:metadata": {"f:labels": labels}, "f:spec": spec})), WANTED)
    assert handed is not None
    mine, left = handed
    assert mine["fieldsV1"] == {
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {"f:resources": {"f:requests": {}}},
    }
    assert left["fieldsV1"] == {
        "f:metadata": {"f:labels": {"f:istio-injection": {}}},
        "f:spec": {"f:storageClassName": {}},
    }


def test_fields_are_merged_without_touching_what_they_came_from() -> None:
    one: dict[str, Any] = {"f:a": {"f:b": {}}}
    assert merged(one, {"f:a": {"f:c": {}}}) == {"f:a": {"f:b": {}, "f:c": {}}}
    assert one == {"f:a": {"f:b": {}}}


def lines(before: Any, after: Any) -> Sequence[str]:
    return list(_lines(before, after))


def test_changes_are_told_field_by_field() -> None:
    before = {"spec": {"replicas": 1, "containers": [{"name": "a", "tty": True}], "gone": {"x": 1}}}
    after = {"spec": {"replicas": 2, "containers": [{"name": "a", "image": "b"}]}}
    assert lines(before, after) == [
        '+ spec.containers[a].image "b"',
        "- spec.containers[a].tty true",
        '- spec.gone {"x": 1}',
        "~ spec.replicas 1 -> 2",
    ]
    assert lines(after, after) == []


def test_no_credential_is_shown_in_a_change() -> None:
    before = {"env": [{"name": "API_KEY", "value": "hunter2"}, {"name": "URL", "value": "http://me:hunter2@host"}]}
    after = {"env": [{"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
    told = lines({"spec": before}, {"spec": after})
    assert not any("hunter2" in line for line in told)
    assert any('"secretKeyRef": {"name": "s", "key": "k"}' in line for line in told)
    assert masked({"name": "API_KEY", "value": "hunter2"}, "x") == {"name": "API_KEY", "value": "[not shown]"}
    last = {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}}}
    assert not any("hunter2" in line for line in lines(last, {"metadata": {"annotations": {}}}))


@pytest.mark.parametrize(
    ("words", "done", "kind", "remedy"),
    [
        ("Error from server (Forbidden): pods is forbidden", [], EnvironmentProblem, "nothing was changed"),
        ("The connection to the server x was refused", [], EnvironmentProblem, "nothing was changed"),
        ("The connection to the server x was refused", ["a is done"], KubectlError, "done so far: a is done"),
        ("something else", [], KubectlError, "nothing was changed"),
    ],
)
def test_errors_say_whether_anything_was_changed(words: str, done: list[str], kind: type, remedy: str) -> None:
    error = problem(KubectlError(words), done)
    assert type(error) is kind
    assert remedy in error.remedy


def test_the_takeover_names_its_manager_on_every_object_and_nothing_else_changes() -> None:
    plain, taking = draw(), draw(takeover={"enabled": True})
    for each in taking.objects:
        annotations = dict(each.manifest["metadata"]["annotations"])
        assert annotations.pop("pulumi.com/patchFieldManager") == "airis"
        before = find(plain, each.kind, each.name).manifest
        metadata = {key: value for key, value in each.manifest["metadata"].items() if key != "annotations"}
        metadata |= {"annotations": annotations} if annotations else {}
        if each.kind != "Secret":
            assert {**each.manifest, "metadata": metadata} == before
    assert len(plain.objects) == len(taking.objects)


def test_workloads_of_before_are_no_objects_of_the_stack() -> None:
    taking = draw(takeover={"enabled": True, "stopped": [{"kind": "StatefulSet", "name": "open-webui"}]})
    assert len(taking.objects) == len(draw().objects)
    assert all(each.name != "open-webui" for each in taking.objects)


@pytest.mark.parametrize(
    ("spec", "status", "runs"),
    [
        ({"replicas": 1}, {"replicas": 1}, True),
        ({"replicas": 0}, {"replicas": 1}, True),  # its last pod is still ending
        ({"replicas": 0}, {"replicas": 0}, False),
        ({"replicas": 0}, {}, False),
        ({}, {}, False),  # no engine, and nobody to ask
        (None, None, False),
        ({"serviceName": "a"}, {}, True),  # 1 is Kubernetes' default
    ],
)
def test_a_workload_has_stopped_when_its_pods_are_gone(spec: Any, status: Any, runs: bool) -> None:
    assert _runs(spec, status) == runs


def test_stopped_workloads_need_the_takeover(refuse: Refuse) -> None:
    assert refuse("airis:takeover: {stopped: [{kind: Deployment, name: a}]}") == (
        "Pulumi.test.yaml: 1 setting is wrong. Nothing was changed.\n"
        "  airis:takeover.stopped\n"
        '    given    ["Deployment/a"]\n'
        "    allowed  [], or also set enabled: true"
    )


def test_a_stopped_workload_stands_once(refuse: Refuse) -> None:
    same = "{kind: Deployment, name: a}"
    assert "airis:takeover.stopped[1]" in refuse(f"airis:takeover: {{enabled: true, stopped: [{same}, {same}]}}")


def test_only_deployments_and_statefulsets_can_be_stopped(refuse: Refuse) -> None:
    assert "one of 'Deployment' or 'StatefulSet'" in refuse(
        "airis:takeover: {enabled: true, stopped: [{kind: DaemonSet, name: a}]}"
    )


@pytest.mark.usefixtures("no_cluster")
def test_without_a_cluster_it_says_so(command: Command, project: Path) -> None:
    code, out, err = command("adopt", "--stack", "moved")
    assert (code, out) == (ExitCode.ENVIRONMENT, "")
    assert "no cluster is configured" in err
    code, out, err = command("adopt", "--stack", "moved", "--kubeconfig", "nothing-here")
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert "there is no such file" in err
    assert not (project / "Pulumi.moved.yaml").exists()


def test_a_stack_that_is_there_is_refused_before_anything_is_looked_at(command: Command, project: Path) -> None:
    code, out, err = command("adopt", "--stack", "cpu", "--yes")
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert err.startswith("error: Pulumi.cpu.yaml exists, and is never written over\n")
    assert "--force: it writes Pulumi.cpu-adopted.yaml beside it" in err
