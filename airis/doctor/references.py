"""Checks of Secrets and ConfigMaps that pods refer to and the stack does not create."""

from airis.doctor.checks import Group, Outcomes, Scope, check, ok, problem
from airis.doctor.observation import Observation

_REFERENCES = (Group.REFERENCES, Scope.STACK)
_PULL_TYPES = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")


@check(
    "pull-secrets",
    *_REFERENCES,
    "Do the pull secrets exist in the stack's namespace, with the right type?",
    why="Kubernetes silently ignores a missing pull secret; pulls from a private registry then fail.",
    remedy="`kubectl create secret docker-registry NAME --namespace=NAMESPACE --docker-server=... --docker-username=...`",
)
def pull_secrets(seen: Observation) -> Outcomes:
    """Checks airis:imagePullSecrets."""
    wanted = seen.stack.pull_secrets
    if wanted:
        seen.known("secrets")
    there = {each.name: each for each in seen.cluster.secrets}
    for name in wanted:
        if name not in there:
            yield problem(f"pull secret {name} does not exist in namespace {seen.stack.namespace}")
        elif there[name].type not in _PULL_TYPES:
            yield problem(f"Secret {name} has type {there[name].type}, but a pull secret has type {_PULL_TYPES[0]}")
        else:
            yield ok(f"pull secret {name} exists")


@check(
    "references",
    *_REFERENCES,
    "Do the Secrets and ConfigMaps that the pods refer to exist, with the keys?",
    why="A container that refers to a missing key does not start: CreateContainerConfigError.",
    remedy="create it in the stack's namespace, with that key: before `up`, or while the pods of the first `up` wait for it",
)
def references(seen: Observation) -> Outcomes:
    """Checks every reference to an object that the stack does not create. Does not read values."""
    wanted = [each for each in seen.stack.references if not each.optional]
    found = 0
    for each in wanted:
        source = "secrets" if each.kind == "Secret" else "configmaps"
        seen.known(source)
        known = seen.cluster.secrets if each.kind == "Secret" else seen.cluster.config_maps
        there = next((one for one in known if one.name == each.name), None)
        if there is None:
            key = f" (key {each.key})" if each.key else ""
            yield problem(f"{each} does not exist in namespace {seen.stack.namespace}{key}")
        elif each.key and each.key not in there.keys:
            yield problem(f"{each} has no key {each.key}; it has: {', '.join(sorted(there.keys)) or 'none'}")
        else:
            found += 1
    if found and found == len(wanted):
        yield ok(f"all {found} keys that the pods refer to exist")
