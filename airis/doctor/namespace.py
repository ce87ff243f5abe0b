"""Checks of the namespace: its manager, existing objects, Pod Security level, admission, quotas and limits."""

import re
from decimal import Decimal

from airis.cluster.kubectl import KubeObject
from airis.doctor.checks import Group, Outcome, Outcomes, Scope, check, listed, ok, problem, warning
from airis.doctor.observation import Observation, name_of, named
from airis.doctor.requirements import Amounts, Requirements, added, amount, asked
from airis.doctor.scheduling import PIECES, living
from airis.stack_file.stacks import UPSERT_KEY

_NAMESPACE = (Group.NAMESPACE, Scope.STACK)
_ENFORCE = "pod-security.kubernetes.io/enforce"
_LEVELS = ("privileged", "baseline", "restricted")
_VIOLATION = re.compile(r"violates PodSecurity \"(?P<level>\w+)[^\"]*\": (?P<reasons>.*)", re.DOTALL)
_COUNTED_ELSEWHERE = "exceeded quota"
"""The quota's usage includes a running stack. The API server counts it twice; the check `quota` does not."""


@check(
    "namespace",
    *_NAMESPACE,
    "Is the namespace new, or managed by the stack?",
    why="Pulumi does not create an object that already exists. The namespace is created first, so `up` fails there.",
    remedy="if Open WebUI runs in it, `airis adopt`; if it is empty, or contains only Secrets or leftovers of a destroyed "
    f'stack, set `{UPSERT_KEY}: "true"` for the first `up`; or choose another airis:namespace',
)
def namespace(seen: Observation) -> Outcomes:
    """Checks which field manager applied it."""
    name = seen.stack.namespace
    seen.known("owned")
    owned = next((each for each in seen.cluster.owned if each.kind == "Namespace"), None)
    if owned is None:
        yield ok(f"namespace {name} does not exist yet: `up` creates it")
    elif owned.deployed:
        yield ok(f"namespace {name} is managed by the stack")
    else:
        body = named(seen.cluster.objects.get("namespaces", ()), name)
        if body is not None and (body.get("status") or {}).get("phase") == "Terminating":
            yield problem(
                f"namespace {name} is being deleted", "wait until it is gone, or find the finalizer that blocks it"
            )
            return
        by = listed(sorted(owned.managers)) or "an unknown manager"
        yield _existing(seen, f"namespace {name} already exists, created by {by}")


def _existing(seen: Observation, words: str) -> Outcome:
    """Since provider 4.29, creating an existing object fails, unless the stack allows it."""
    if seen.stack.upserts:
        return warning(f"{words}; `up` adopts it ({UPSERT_KEY})")
    return problem(words)


@check(
    "same-names",
    *_NAMESPACE,
    "Are the names of the stack's objects unused, or used by the stack itself?",
    why="Pulumi does not create an object that already exists: `up` fails halfway.",
    remedy="adopt a running deployment with `airis adopt`, or choose another airis:namespace",
)
def same_names(seen: Observation) -> Outcomes:
    """Checks which field managers applied the objects that already exist."""
    seen.known("owned")
    foreign = [each for each in seen.cluster.owned if each.kind != "Namespace" and not each.deployed]
    for each in foreign:
        by = listed(sorted(each.managers)) or "an unknown manager"
        yield _existing(seen, f"{each.kind}/{each.name} already exists, created by {by}")
    if not foreign:
        mine = sum(each.deployed for each in seen.cluster.owned)
        yield ok(f"the stack manages all {mine} existing objects" if mine else "all names are unused")


@check(
    "pod-security",
    *_NAMESPACE,
    "Does the Pod Security level that the namespace enforces admit the stack's pods?",
    why="Pods that violate the level are rejected: the Deployment exists, but has no pods.",
    remedy="set airis:podSecurity to the level that the namespace enforces, and the settings that this level requires; or "
    "have the namespace's label changed",
)
def pod_security(seen: Observation) -> Outcomes:
    """Reads the namespace's label, and dry-runs a pod of each workload on the server."""
    seen.known("owned")
    owned = next((each for each in seen.cluster.owned if each.kind == "Namespace"), None)
    wanted = seen.stack.settings.pod_security
    if owned is None:
        yield ok(f"the namespace does not exist yet: `up` creates it with the level {wanted}")
        return
    body = named(seen.all("namespaces"), seen.stack.namespace)
    enforced = ((body or {}).get("metadata", {}).get("labels") or {}).get(_ENFORCE, "privileged")
    if owned.deployed and enforced != wanted:
        yield ok(f"the namespace enforces {enforced}; `up` changes it to {wanted}")
        return
    if not owned.deployed and enforced in _LEVELS and _LEVELS.index(enforced) > _LEVELS.index(wanted):
        yield problem(
            f"the namespace enforces {enforced}, the stack is set to {wanted}, and the stack does not manage the label"
        )
    seen.known("trials")
    refused = {name: match for name, words in seen.cluster.trials.items() if (match := _VIOLATION.search(words))}
    for name, match in refused.items():
        yield problem(f"{name}: its pods violate {match['level']}: {match['reasons'].strip()}")
    if not refused:
        yield ok(f"the namespace enforces {enforced} and admits the stack's pods")


@check(
    "admission",
    *_NAMESPACE,
    "Does the API server admit the pods?",
    why="Admission plugins and webhooks may reject pods: a missing PriorityClass or RuntimeClass, a policy, a LimitRange.",
    remedy="the API server's message above names the rule: change the setting, or contact the owner of the rule",
)
def admission(seen: Observation) -> Outcomes:
    """Dry-runs a pod of each workload on the server."""
    seen.known("trials")
    refused = {
        name: words
        for name, words in seen.cluster.trials.items()
        if words and not _VIOLATION.search(words) and _COUNTED_ELSEWHERE not in words
    }
    for name, words in refused.items():
        yield problem(f"{name}: {words}")
    if not refused and seen.cluster.trials:
        yield ok("the API server admits a pod of each workload")


@check(
    "quota",
    *_NAMESPACE,
    "Does the namespace's quota leave room for the stack?",
    why="Objects that exceed a ResourceQuota are rejected: pods are missing, or a claim is not created.",
    remedy="have the ResourceQuota raised, or lower replicas, resources.requests or storage.size",
)
def quota(seen: Observation) -> Outcomes:
    """Compares what the stack needs in addition to what it already uses with what each ResourceQuota has left."""
    quotas = seen.own("resourcequotas")
    wanted, has = totals(seen.stack), _has(seen) if quotas else {}
    for each in quotas:
        if each["spec"].get("scopes") or each["spec"].get("scopeSelector"):
            continue  # it counts only some pods, and the API server decides which
        status = each.get("status") or {}
        used = {key: amount(value) for key, value in (status.get("used") or {}).items()}
        over = [
            f"{key}: {_plain(wanted[key])} needed, {_plain(amount(hard) - others)} of {hard} left"
            for key, hard in (each["spec"].get("hard") or {}).items()
            if key in wanted
            and wanted[key]
            > amount(hard) - (others := max(used.get(key, Decimal(0)) - has.get(key, Decimal(0)), Decimal(0)))
        ]
        if over:
            yield problem(f"ResourceQuota {name_of(each)}: {'; '.join(over)}")
        else:
            yield ok(f"ResourceQuota {name_of(each)} leaves room")


def totals(stack: Requirements) -> Amounts:
    """What the stack uses of a quota, by the quota's keys. Source: Kubernetes, "Resource Quotas"."""
    each = [
        {key: value * workload.replicas for key, value in _counted(workload.pod).items()}
        for workload in stack.workloads
    ]
    kinds = {"services": "Service", "secrets": "Secret", "configmaps": "ConfigMap"}
    objects = {key: Decimal(len(stack.of_kind(kind))) for key, kind in kinds.items()}
    claims = {
        "persistentvolumeclaims": Decimal(len(stack.claims)),
        "requests.storage": sum(map(_storage, stack.claims), Decimal(0)),
    }
    return added(*each, objects, claims)


def _has(seen: Observation) -> Amounts:
    """What the stack already uses."""
    pods = [_counted(each["spec"]) for each in living(seen.pods())]
    mine = [
        each for each in seen.own("persistentvolumeclaims") if seen.stack.makes("PersistentVolumeClaim", name_of(each))
    ]
    claims = {
        "persistentvolumeclaims": Decimal(len(mine)),
        "requests.storage": sum(map(_storage, mine), Decimal(0)),
    }
    there = [each for each in seen.cluster.owned if each.deployed]
    kinds = {"services": "Service", "secrets": "Secret", "configmaps": "ConfigMap"}
    objects = {key: Decimal(sum(each.kind == kind for each in there)) for key, kind in kinds.items()}
    return added(*pods, claims, objects)


def _counted(pod: KubeObject) -> Amounts:
    requests, limits = asked(pod), asked(pod, "limits")
    by_request = {f"requests.{key}": value for key, value in requests.items()}
    plain = {key: value for key, value in requests.items() if key in ("cpu", "memory", "ephemeral-storage")}
    by_limit = {f"limits.{key}": value for key, value in limits.items()}
    return {**plain, **by_request, **by_limit, PIECES: Decimal(1), "count/pods": Decimal(1)}


def _storage(claim: KubeObject) -> Decimal:
    return amount(claim["spec"]["resources"]["requests"]["storage"])


def _plain(value: Decimal) -> str:
    gibi = value / 2**30
    return f"{gibi:.4g}Gi" if abs(gibi) >= Decimal("0.01") else f"{value.normalize():f}"


@check(
    "limit-range",
    *_NAMESPACE,
    "Are the claims within the namespace's LimitRange?",
    why="Claims outside the range are rejected. The check `admission` covers containers.",
    remedy="change the stack's storage.size, or have the LimitRange changed",
)
def limit_range(seen: Observation) -> Outcomes:
    """Compares the claims' sizes with the range."""
    for each in seen.own("limitranges"):
        for limit in each["spec"].get("limits") or []:
            if limit["type"] != "PersistentVolumeClaim":
                continue
            least, most = ((limit.get(key) or {}).get("storage") for key in ("min", "max"))
            outside = [
                name_of(claim)
                for claim in seen.stack.claims
                if (most and _storage(claim) > amount(most)) or (least and _storage(claim) < amount(least))
            ]
            words = f"LimitRange {name_of(each)} allows claims from {least or '0'} to {most or 'any size'}"
            yield problem(f"{words}: {listed(outside)}") if outside else ok(words)
