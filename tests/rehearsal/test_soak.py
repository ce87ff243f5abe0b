"""Soak: random valid changes, one after the other; after each, the cluster holds what the render says, and nothing else.

In a usual run 25 changes; AIRIS_SOAK=200 (`make soak`) makes it as many as that.
"""

import copy
import json
import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from airis.diff.fields import differences
from airis.diff.stack_objects import Body, Item
from airis.rehearse.rehearsal import clean, define
from airis.rehearse.sandbox import Sandbox, definitions_for
from settings.types.quantity import as_bytes
from tests.rehearsal.pulumi_steps import Deployment, side
from tests.rehearsal.test_any_settings import Config, ollamas, stacks, webuis
from tests.unit.drawing import draw

CHANGES = int(os.environ.get("AIRIS_SOAK", "25"))
STEPS = 15
"""Changes of one stack's life; then the next stack begins."""

pytestmark = pytest.mark.timeout(120 + 20 * CHANGES)

SIZES = ["512Mi", "1Gi", "1.5Gi", "2G", "4Gi"]
MANY = "ReadWriteMany"
KINDS = (
    "configmaps,secrets,serviceaccounts,persistentvolumeclaims,services,deployments,statefulsets,jobs,cronjobs,"
    "ingresses,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,roles,rolebindings,resourcequotas,limitranges"
)
OTHERS = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
"""What the controllers put into every namespace."""
FRESH = "soak-fresh"
"""A namespace in which the API server is asked what it would make of the same objects, were they new."""

PARTS = ("webui", "ollama", "ways in", "network", "podSecurity", "clusterDomain", "imagePullSecrets")
WAYS = ("ingress", "gateway")

KEPT_BY_CONTROLLERS = {
    "metadata": {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "finalizers",
        "generation",
        "managedFields",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    },
    "spec": {"clusterIP", "clusterIPs", "finalizers", "healthCheckNodePort", "volumeName"},
    "annotations": {
        "deployment.kubernetes.io/revision",
        "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller",
        "volume.beta.kubernetes.io/storage-provisioner",
        "volume.kubernetes.io/storage-provisioner",
        "volume.kubernetes.io/storage-resizer",
    },
    "ports": {"nodePort"},
}
"""What the server and its controllers decide by themselves, by where it stands."""


def normal(value: Any, key: str = "") -> Any:
    """An object without that, and without its status."""
    if isinstance(value, dict):
        dropped = KEPT_BY_CONTROLLERS.get(key, set())
        kept = {name: normal(inner, name) for name, inner in value.items() if name not in dropped}
        if key == "":
            kept.pop("status", None)
        return {name: inner for name, inner in kept.items() if inner not in ({}, [], None)}
    return [normal(each, key) for each in value] if isinstance(value, list) else value


@st.composite
def changed(draw: st.DrawFn, config: Config) -> Config:
    """The stack with one part of it drawn anew, or with all of them."""
    new = copy.deepcopy(config)
    fresh = draw(stacks())
    parts = draw(st.one_of(st.lists(st.sampled_from(PARTS), min_size=1, max_size=2, unique=True), st.just(PARTS)))
    for part in parts:
        if part == "webui":
            secrets: Config = {}
            new["webui"] = draw(webuis(secrets))
            new["secrets"] = secrets
        elif part == "ollama":
            new["ollama"] = draw(ollamas())
        elif part == "ways in":
            new = {key: value for key, value in new.items() if key not in WAYS}
            new |= {key: fresh[key] for key in WAYS if key in fresh}
        else:
            new[part] = fresh[part]
    return new


def with_storage(config: Config, mode: str, floor: dict[str, int], grow: bool) -> Config:
    """The stack with claims that may become what they should: the class and access mode of before, and no smaller."""
    webui, ollama = config["webui"], config["ollama"]
    for part, entry in (("webui", webui), ("ollama", ollama)):
        floor[part] = min(floor[part] + (grow and mode != MANY), len(SIZES) - 1)
        entry["storage"] = {"size": SIZES[floor[part]], "accessMode": mode if part == "webui" else "ReadWriteOnce"}
    return config


def needs_many(config: Config) -> bool:
    """Whether several pods write to one volume."""
    return "rollingUpdates" in config["webui"] and "objectStorage" not in config["webui"]


FORBIDDEN: dict[str, Config] = {
    "shrink": {"size": "1Mi"},
    "class": {"storageClass": "another"},
    "mode": {"accessMode": "ReadWriteOncePod"},
    "existing claim": {"existingClaim": "another"},
}


class Soak(RuleBasedStateMachine):
    """The life of one stack."""

    sandbox: Sandbox
    total = 0
    """Changes that were applied, of all lives."""
    refused = 0
    lives = 0
    slowest = 0.0

    def __init__(self) -> None:
        super().__init__()
        Soak.lives += 1
        self.namespace = f"soak-{Soak.lives}"
        self.kubectl = self.sandbox.kubectl
        self.deployment = Deployment(self.kubectl)
        self.uids: dict[str, str] = {}
        self.floor = {"webui": 0, "ollama": 0}
        self.config: Config = {}
        self.mode = ""

    @initialize(lively=st.booleans(), config=stacks(), mode=st.sampled_from(["ReadWriteOnce", MANY]))
    def first(self, lively: bool, config: Config, mode: str) -> None:
        assume(
            lively
        )  # Hypothesis begins with the simplest of all lives, in which nothing happens: that is passed over
        self.mode = MANY if needs_many(config) else mode
        self._become({**config, "namespace": self.namespace}, grow=False)

    @rule(
        data=st.data(),
        grow=st.integers(0, 3),
        part=st.sampled_from(["webui", "ollama"]),
        kind=st.sampled_from(sorted(FORBIDDEN)),
    )
    def change(self, data: st.DataObject, grow: int, part: str, kind: str) -> None:
        self._try_forbidden(part, kind)
        config = data.draw(changed(self.config).filter(lambda each: self.mode == MANY or not needs_many(each)))
        self._become(config, grow=grow == 0)

    def _try_forbidden(self, part: str, kind: str) -> None:
        """A change that would lose data is refused before anything happens."""
        config = copy.deepcopy(self.config)
        config[part]["storage"] |= FORBIDDEN[kind]
        claims = [each.name for each in self.deployment.items.items if each.kind == "PersistentVolumeClaim"]
        if not any(each.startswith("airis" if part == "webui" else "ollama") for each in claims):
            return
        if kind == "mode" and part == "webui" and needs_many(config):
            return  # the settings do not allow it in the first place
        if kind == "existing claim" and part == "ollama" and config["ollama"]["replicas"] > 1:
            return  # nor this
        refusals = self.deployment.refused(self.deployment.changes(side(draw(**config))))
        assert refusals, f"{part}: {kind} is not refused"
        Soak.refused += 1

    def _become(self, config: Config, *, grow: bool) -> None:
        floor = dict(self.floor)
        config = with_storage(config, self.mode, floor, grow)
        after = side(draw(**config))
        changes = self.deployment.changes(after)
        leaving = self._leaving(after.items)
        refusals = self.deployment.refused(changes)
        # What is protected leaves the stack when somebody gives it up on purpose, and only then
        assert len(refusals) == len(leaving), (refusals, leaving)
        start = time.monotonic()
        self._await_bound()
        self.deployment.update(after, changes)
        Soak.slowest = max(Soak.slowest, time.monotonic() - start)
        self.config, self.floor = config, floor
        Soak.total += bool(changes)

    def _leaving(self, after: tuple[Item, ...]) -> set[str]:
        mine = {each.name for each in self.deployment.items.items if each.protect}
        return mine - {each.name for each in after if each.protect}

    def _await_bound(self) -> None:
        """A claim can grow once it has its volume; the sandbox makes none that several nodes write to."""
        deadline = time.monotonic() + 60
        while self.mode != MANY or self.floor["ollama"]:
            claims = self.kubectl.get("persistentvolumeclaims", f"--namespace={self.namespace}")
            if all(each["status"]["phase"] == "Bound" or MANY in each["spec"]["accessModes"] for each in claims):
                return
            assert time.monotonic() < deadline, "the claims have no volumes"
            time.sleep(0.3)

    @invariant()
    def the_cluster_holds_what_the_render_says(self) -> None:
        items = self.deployment.items.items
        if not items:
            return
        live = self._live(items)
        wanted = {(each.kind, each.name): each for each in items}
        kept = {(each.kind, each.name) for each in self.deployment.kept.values()}
        there = {key for key in live if key not in OTHERS}
        assert there == wanted.keys() | kept, (there - wanted.keys() - kept, (wanted.keys() | kept) - there)
        for key, fresh in self._as_new(items).items():
            unlike = [
                f"{each.path}: {each.before!r}, fresh {each.after!r}"
                for each in differences(normal(live[key]), fresh)
                if not stays(each.path, wanted[key])
            ]
            assert unlike == [], key

    @invariant()
    def no_claim_is_made_anew(self) -> None:
        claims = self.kubectl.get("persistentvolumeclaims", f"--namespace={self.namespace}") if self.config else []
        for each in claims:
            name, uid = each["metadata"]["name"], each["metadata"]["uid"]
            assert self.uids.setdefault(name, uid) == uid, f"{name} is another claim than before"
            assert "deletionTimestamp" not in each["metadata"], f"{name} is being deleted"
        assert {each["metadata"]["name"] for each in claims} == self.uids.keys(), "a claim is gone"
        for item in self.deployment.items.items:
            if item.kind == "PersistentVolumeClaim":
                (found,) = [each for each in claims if each["metadata"]["name"] == item.name]
                asked = found["spec"]["resources"]["requests"]["storage"]
                assert as_bytes(asked) == as_bytes(item.body["spec"]["resources"]["requests"]["storage"])

    def _live(self, items: tuple[Item, ...]) -> dict[tuple[str, str], Body]:
        kinds = f"{KINDS},httproutes.gateway.networking.k8s.io"
        found = self.kubectl.get(kinds, f"--namespace={self.namespace}")
        found += self.kubectl.get("namespace", self.namespace)
        return {(each["kind"], each["metadata"]["name"]): each for each in found}

    def _as_new(self, items: tuple[Item, ...]) -> dict[tuple[str, str], Any]:
        """What the server makes of the same objects where nothing is: its defaults, and no trace of what was before."""
        objects = [self._moved(each.body) for each in items]
        options = ("--server-side", "--field-manager=fresh", "--dry-run=server", "--output=json", "--filename=-")
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        answer = json.loads(self.kubectl.run("apply", *options, stdin=text))
        made = answer["items"] if answer["kind"] == "List" else [answer]
        named = {(each["kind"], each["metadata"]["name"]): each for each in made}
        space = named.pop(("Namespace", FRESH))
        space["metadata"]["name"] = self.namespace
        space["metadata"]["labels"]["kubernetes.io/metadata.name"] = self.namespace
        return {key: normal(each) for key, each in {**named, ("Namespace", self.namespace): space}.items()}

    def _moved(self, body: Body) -> Any:
        moved = copy.deepcopy(dict(body))
        if moved["kind"] == "Namespace":
            moved["metadata"]["name"] = FRESH
        else:
            moved["metadata"]["namespace"] = FRESH
        for port in moved["spec"].get("ports", []) if moved["kind"] == "Service" else []:
            port.pop("nodePort", None)  # it is taken
        return moved

    def teardown(self) -> None:
        if self.config:
            self.kubectl.run("delete", "namespace", self.namespace, "--wait=false")


def stays(path: str, item: Item) -> bool:
    """A default of the server's that follows from another field, and does not follow it when that changes.

    Without the setting `imagePullPolicy`, an image keeps the policy of the image that stood there first (Kubernetes, "Images:
    default image pull policy").
    """
    return path.endswith(".imagePullPolicy") and "imagePullPolicy" not in json.dumps(item.body)


def test_changes_one_after_the_other(sandbox: Sandbox) -> None:
    sandbox.up()
    clean(sandbox.kubectl)
    sandbox.set_nodes([])  # no pod has to run for this
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FRESH}}
    sandbox.kubectl.apply([space])
    define(definitions_for([{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}]), sandbox.kubectl)
    Soak.sandbox = sandbox
    start = time.monotonic()
    life = 0
    while Soak.total < CHANGES:
        life += 1
        # Not minimized where it fails: that would take as long again for each try. The steps are printed
        run_state_machine_as_test(
            seed(life)(Soak),
            settings=settings(
                max_examples=1,
                stateful_step_count=min(STEPS, CHANGES - Soak.total + 2),
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    seconds = time.monotonic() - start
    print(
        f"{Soak.total} changes of {life} stacks in {seconds:.0f} s, {Soak.refused} refused, slowest {Soak.slowest:.1f} s"
    )
    assert Soak.total >= CHANGES
    assert Soak.refused
