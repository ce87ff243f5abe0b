"""The policy rules, with objects that pass and violate each: on manifests, as a policy pack, and with `airis check`."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_policy import EnforcementLevel, ResourceValidationArgs, ResourceValidationPolicy

from airis.render import program
from airis.render.check import opened
from components.ollama import PORT
from policy import rules
from policy.__main__ import policies
from policy.rules import RULES, Level, Registered, Rule, level
from tests.unit import kustomize
from tests.unit.conftest import Command
from tests.unit.drawing import RECOMMENDED, ROOT, committed, find

Change = Callable[[Any], object]


def rule(name: str) -> Rule:
    (found,) = [each for each in RULES if each.name == name]
    return found


def registered(kind: str, name: str, change: Change = lambda _: None) -> Registered:
    """An object of the committed gpu stack, which passes every rule, with a change."""
    each = find(committed("gpu"), kind, name)
    body = copy.deepcopy(dict(each.manifest))
    change(body)
    return Registered(body, protect=each.protect, retain=each.retain)


def problems(name: str, each: Registered) -> list[str]:
    return [str(problem) for problem in rule(name).problems(each)]


def pod(body: Any) -> Any:
    return body["spec"]["template"]["spec"]


def container(body: Any) -> Any:
    return pod(body)["containers"][0]


def amounts(body: Any, part: str) -> Any:
    return container(body)["resources"][part]


def secure(**fields: object) -> Change:
    return lambda body: container(body)["securityContext"].update(fields)


def variable(name: str, value: object) -> Change:
    return lambda body: container(body)["env"].append({"name": name, "value": value})


POD = "spec.template.spec"
AIRIS = f"{POD}.containers[airis]"
CONTEXT = f"{AIRIS}.securityContext"


@pytest.mark.parametrize("stack", RECOMMENDED)
def test_the_recommended_stacks_pass_every_mandatory_rule(stack: str) -> None:
    for each in committed(stack).objects:
        subject = Registered(each.manifest, protect=each.protect, retain=each.retain)
        for one in RULES:
            if level(one, production=False, pod_security="restricted") is Level.MANDATORY:
                assert one.problems(subject) == []


@pytest.mark.parametrize(
    ("name", "field", "change"),
    [
        ("resource-limits", f"{AIRIS}.resources.requests.cpu", lambda body: container(body).pop("resources")),
        ("resource-limits", f"{AIRIS}.resources.limits.memory", lambda body: amounts(body, "limits").pop("memory")),
        ("resource-limits", f"{AIRIS}.resources.requests.cpu", lambda body: amounts(body, "requests").pop("cpu")),
        ("probes", f"{AIRIS}.startupProbe", lambda body: container(body).pop("startupProbe")),
        ("probes", f"{AIRIS}.readinessProbe", lambda body: container(body).pop("readinessProbe")),
        ("probes", f"{AIRIS}.livenessProbe", lambda body: container(body).update(livenessProbe={})),
        (
            "restricted-context",
            f"{CONTEXT}.allowPrivilegeEscalation",
            lambda body: container(body).pop("securityContext"),
        ),
        ("restricted-context", f"{CONTEXT}.allowPrivilegeEscalation", secure(allowPrivilegeEscalation=True)),
        ("restricted-context", f"{CONTEXT}.privileged", secure(privileged=True)),
        ("restricted-context", f"{CONTEXT}.readOnlyRootFilesystem", secure(readOnlyRootFilesystem=False)),
        ("restricted-context", f"{CONTEXT}.capabilities.drop", secure(capabilities={"drop": ["NET_RAW"]})),
        (
            "restricted-context",
            f"{CONTEXT}.capabilities.add",
            secure(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        ),
        ("restricted-context", f"{CONTEXT}.runAsNonRoot", secure(runAsNonRoot=False)),
        ("restricted-context", f"{CONTEXT}.runAsUser", secure(runAsUser=0)),
        ("restricted-context", f"{CONTEXT}.runAsUser", lambda body: pod(body)["securityContext"].update(runAsUser=0)),
        ("restricted-context", f"{CONTEXT}.seccompProfile.type", secure(seccompProfile={"type": "Unconfined"})),
        ("restricted-context", f"{POD}.hostNetwork", lambda body: pod(body).update(hostNetwork=True)),
        (
            "restricted-context",
            f"{POD}.volumes[host].hostPath",
            lambda body: pod(body)["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
        ),
        ("no-plain-credentials", f"{AIRIS}.env[OPENAI_API_KEY].value", variable("OPENAI_API_KEY", "hunter2")),
        ("no-plain-credentials", f"{AIRIS}.env[API_KEYS].value", variable("API_KEYS", "$(FIRST);hunter2")),
        ("no-plain-credentials", f"{AIRIS}.env[STORE].value", variable("STORE", "redis://:hunter2@host")),
        ("no-plain-credentials", f"{AIRIS}.env[GREETING].value", variable("GREETING", program.Secret("hunter2"))),
        ("immutable-images", f"{AIRIS}.image", lambda body: container(body).update(image="ollama/ollama")),
        (
            "no-api-token",
            f"{POD}.automountServiceAccountToken",
            lambda body: pod(body).pop("automountServiceAccountToken"),
        ),
    ],
)
def test_a_pod_that_violates_a_rule(name: str, field: str, change: Change) -> None:
    found = problems(name, registered("Deployment", "airis-deployment", change))
    assert any(each.startswith(f"Deployment/airis-deployment: {field}: ") for each in found), found
    assert "hunter2" not in "".join(found)


def test_a_value_that_only_refers_to_other_variables_is_no_credential() -> None:
    for value in ("$(FIRST)", "$(FIRST);$(SECOND)", ";$(SECOND)"):
        change = variable("OPENAI_API_KEYS", value)
        assert problems("no-plain-credentials", registered("Deployment", "airis-deployment", change)) == []


@pytest.mark.parametrize("name", [each.name for each in RULES])
def test_a_pod_that_passes_a_rule(name: str) -> None:
    def pin(body: Any) -> None:
        container(body)["image"] = "ghcr.io/airis/airis:1.2.3"

    assert problems(name, registered("Deployment", "airis-deployment", pin)) == []


def test_rules_apply_to_init_containers_and_all_workload_kinds() -> None:
    bare = {"name": "a", "image": "busybox"}
    makers = {
        "Pod": {"initContainers": [bare], "containers": []},
        "Job": {"template": {"spec": {"containers": [bare]}}},
        "CronJob": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [bare]}}}}},
    }
    for kind, spec in makers.items():
        each = Registered({"kind": kind, "metadata": {"name": "x"}, "spec": spec})
        broken = {one.name for one in RULES if one.problems(each)}
        assert broken == {"resource-limits", "restricted-context", "immutable-images", "no-api-token"}


def test_a_fully_secret_value_does_not_bypass_the_rules() -> None:
    def hide(body: Any) -> None:
        container(body).pop("resources")
        container(body)["env"].append({"name": "GREETING", "value": "hunter2"})
        pod(body)["containers"] = program.Secret(pod(body)["containers"])

    each = registered("Deployment", "airis-deployment", hide)
    seen = Registered(opened(each.manifest))
    assert len(problems("resource-limits", seen)) == 4
    assert f"Deployment/airis-deployment: {AIRIS}.env[GREETING].value: " in "".join(
        problems("no-plain-credentials", seen)
    )
    assert "hunter2" not in "".join(str(problem) for one in RULES for problem in one.problems(seen))


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "Namespace"])
def test_data_is_protected_and_retained(kind: str) -> None:
    body = {"kind": kind, "metadata": {"name": "data"}}
    assert problems("data-protected", Registered(body, protect=True, retain=True)) == []
    assert problems("data-protected", Registered(body, protect=True, retain=None)) == []
    (unprotected,) = problems("data-protected", Registered(body, protect=False, retain=True))
    assert unprotected.startswith(f"{kind}/data: protect (a Pulumi option): ")
    (lost,) = problems("data-protected", Registered(body, protect=True, retain=False))
    assert lost.startswith(f"{kind}/data: retain_on_delete (a Pulumi option): ")


def test_a_stateful_set_keeps_its_claims() -> None:
    def drop(body: Any) -> None:
        body["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"] = "Delete"

    assert problems("data-protected", registered("StatefulSet", "ollama")) == []
    (found,) = problems("data-protected", registered("StatefulSet", "ollama", drop))
    assert found.startswith("StatefulSet/ollama: spec.persistentVolumeClaimRetentionPolicy.whenScaled: ")


def test_ollama_may_not_be_exposed_by_its_service() -> None:
    assert rules.OLLAMA_PORT == PORT
    for service_type in ("NodePort", "LoadBalancer"):
        service = registered("Service", "ollama-service", lambda body: body["spec"].update(type=service_type))  # noqa: B023
        assert problems("no-public-ollama", service)[0].startswith("Service/ollama-service: spec.type: ")
    outside = registered("Service", "ollama-service", lambda body: body["spec"].update(externalIPs=["203.0.113.1"]))
    assert problems("no-public-ollama", outside)[0].startswith("Service/ollama-service: spec.externalIPs: ")
    webui = registered("Service", "airis-service", lambda body: body["spec"].update(type="LoadBalancer"))
    assert problems("no-public-ollama", webui) == []
    renamed = {"type": "NodePort", "ports": [{"port": 80, "targetPort": PORT}]}
    assert problems("no-public-ollama", Registered({"kind": "Service", "metadata": {"name": "llm"}, "spec": renamed}))


def test_ollama_gets_no_ingress() -> None:
    def to(name: str, port: int) -> Change:
        def change(body: Any) -> None:
            backend = body["spec"]["rules"][0]["http"]["paths"][0]["backend"]
            backend["service"] = {"name": name, "port": {"number": port}}

        return change

    field = "Ingress/airis-ingress: spec.rules[0].http.paths[0].backend.service: "
    for change in (to("ollama-service", 80), to("llm", PORT)):
        (found,) = problems("no-public-ollama", registered("Ingress", "airis-ingress", change))
        assert found.startswith(field)
    assert problems("no-public-ollama", registered("Ingress", "airis-ingress")) == []


@pytest.mark.parametrize("kind", ["HTTPRoute", "TCPRoute"])
@pytest.mark.parametrize(
    ("name", "port", "found"),
    [("ollama-service", 80, 1), ("llm", PORT, 1), ("airis-service", 8080, 0), (None, None, 0)],
)
def test_ollama_gets_no_route_of_a_gateway(kind: str, name: str | None, port: int | None, found: int) -> None:
    spec = {
        "rules": [
            {"backendRefs": [{"name": "airis-service", "port": 8080}]},
            {"backendRefs": [{"name": name, "port": port}]},
        ]
    }
    said = problems("no-public-ollama", Registered({"kind": kind, "metadata": {"name": "way-in"}, "spec": spec}))
    assert len(said) == found
    assert all(each.startswith(f"{kind}/way-in: spec.rules[1].backendRefs[0]: ") for each in said)


def test_the_reference_violates_rules_that_the_stacks_pass() -> None:
    objects = [Registered(each) for each in kustomize.render(kustomize.REFERENCE / "gpu")]
    broken = {one.name for one in RULES for each in objects if one.problems(each)}
    assert broken == {"probes", "restricted-context", "immutable-images", "data-protected", "no-api-token"}


def test_the_security_page_lists_the_rules() -> None:
    section = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").split("\n## The rules\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE) == [each.name for each in RULES]


def test_two_rules_depend_on_the_stacks_settings() -> None:
    usual = {each.name: level(each, production=False, pod_security="restricted") for each in RULES}
    assert [name for name, value in usual.items() if value is Level.ADVISORY] == ["immutable-images"]
    strict = [level(each, production=True, pod_security="restricted") for each in RULES]
    assert set(strict) == {Level.MANDATORY}
    assert level(rules.RESTRICTED_CONTEXT, production=True, pod_security="baseline") is Level.ADVISORY


def pack(monkeypatch: pytest.MonkeyPatch, **config: str) -> dict[str, ResourceValidationPolicy]:
    """The policies that Pulumi would load for a stack with this configuration."""
    monkeypatch.setattr(pulumi.Config, "get", lambda self, key: config.get(key))
    monkeypatch.setattr(pulumi.Config, "get_bool", lambda self, key: config.get(key) == "true")
    return {each.name: each for each in policies()}


def reports(policy: ResourceValidationPolicy, each: Registered, resource_type: str) -> list[str]:
    said: list[str] = []
    options: Any = type("Options", (), {"protect": each.protect})
    args = ResourceValidationArgs(resource_type, each.manifest, "urn", "name", options, None)
    policy.validate(args, lambda message, urn: said.append(message))
    return said


def test_the_policy_pack_reports_the_same_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    each = registered("Deployment", "airis-deployment", lambda body: pod(body).pop("automountServiceAccountToken"))
    policy = pack(monkeypatch)["no-api-token"]
    assert reports(policy, each, "kubernetes:apps/v1:Deployment") == problems("no-api-token", each) != []
    assert reports(policy, each, "acme:index:Thing") == []
    claim = Registered({"kind": "PersistentVolumeClaim", "metadata": {"name": "a"}}, protect=True)
    kind = "kubernetes:core/v1:PersistentVolumeClaim"
    assert reports(pack(monkeypatch)["data-protected"], claim, kind) == []


def test_the_policy_pack_reads_the_stack_s_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = pack(monkeypatch)
    assert list(usual) == [each.name for each in RULES]
    assert usual["immutable-images"].enforcement_level is EnforcementLevel.ADVISORY
    assert usual["restricted-context"].enforcement_level is EnforcementLevel.MANDATORY
    other = pack(monkeypatch, production="true", podSecurity="baseline")
    assert other["immutable-images"].enforcement_level is EnforcementLevel.MANDATORY
    assert other["restricted-context"].enforcement_level is EnforcementLevel.ADVISORY


def test_check_passes_with_advisory_violations(command: Command) -> None:
    code, out, _ = command("check", "--stack", "reference")
    *advice, last = out.splitlines()
    assert code == 0
    assert any(line.startswith("advisory   immutable-images: Deployment/airis-deployment: ") for line in advice)
    assert all(line.startswith("advisory ") for line in advice)
    assert last == f"ok: stack reference passes all mandatory rules; advisory violations: {len(advice)}."


@pytest.mark.parametrize("stack", RECOMMENDED)
def test_the_recommended_stacks_have_no_advisory_violations(stack: str, command: Command) -> None:
    code, out, _ = command("check", "--stack", stack)
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith(f"ok: stack {stack} passes all 8 rules, in ")


def test_check_says_ok(command: Command, project: Path) -> None:
    (project / "Pulumi.test.yaml").write_text("config: {airis:webui: {image: 'a:1.2.3'}}", encoding="utf-8")
    code, out, _ = command("check", "--stack", "test")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("ok: stack test passes all 8 rules, in ")


def test_check_reports_violations(command: Command, project: Path) -> None:
    text = "config: {airis:podSecurity: baseline, airis:ollama: {resources: {limits: {cpu: null}}}}"
    (project / "Pulumi.test.yaml").write_text(text, encoding="utf-8")
    code, out, _ = command("check", "--stack", "test")
    first, *others, last = out.splitlines()
    assert code == 1
    field = "spec.template.spec.containers[ollama].resources.limits.cpu"
    assert first == f"mandatory  resource-limits: StatefulSet/ollama: {field}: set an amount"
    assert others
    assert all(line.startswith("advisory ") for line in others)
    assert last == f"Stack test violates rules: 1 mandatory, {len(others)} advisory."
