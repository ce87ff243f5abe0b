"""Checks of storage: StorageClasses, claims, and volumes for SQLite."""

from collections.abc import Sequence

from airis.cluster.kubectl import KubeObject
from airis.doctor import network_storage
from airis.doctor.checks import Group, Outcome, Outcomes, Scope, check, listed, ok, problem, warning
from airis.doctor.network_storage import FileSystem, is_for_one_node
from airis.doctor.observation import Observation, is_default, name_of, named
from airis.doctor.queries import data_claim
from airis.doctor.requirements import amount

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_STORAGE = (Group.STORAGE, Scope.STACK)
_NO_PROVISIONER = "kubernetes.io/no-provisioner"
_ZONE = "topology.kubernetes.io/zone"


def _classes(seen: Observation) -> Sequence[KubeObject]:
    return seen.all("storageclasses.storage.k8s.io")


def _class_of(seen: Observation, claim: KubeObject) -> KubeObject | None:
    name = claim["spec"].get("storageClassName")
    if name is not None:
        return named(_classes(seen), name)
    return next((each for each in _classes(seen) if is_default(each, _DEFAULT)), None)


def _unbound(seen: Observation) -> list[KubeObject]:
    """The claims of the stack that are not bound."""
    live = {name_of(each): each for each in seen.own("persistentvolumeclaims")}
    return [
        each for each in seen.stack.claims if (live.get(name_of(each), {}).get("status") or {}).get("phase") != "Bound"
    ]


@check(
    "default-storage-class",
    Group.STORAGE,
    Scope.CLUSTER,
    "Is there exactly one default StorageClass?",
    why="A claim without a class uses the default one. Without a default it stays Pending; of several, the newest is used.",
    remedy="`kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true`, or set a class in the "
    "stack (airis:ollama.storage.storageClass, airis:webui.storage.storageClass)",
)
def default_storage_class(seen: Observation) -> Outcomes:
    """Reads the classes' annotation."""
    defaults = [name_of(each) for each in _classes(seen) if is_default(each, _DEFAULT)]
    relied_on = seen.wanted is None or any("storageClassName" not in each["spec"] for each in _unbound(seen))
    if len(defaults) == 1:
        yield ok(f"the default StorageClass is {defaults[0]}")
    elif defaults:
        yield warning(f"several StorageClasses are the default: {listed(defaults)}")
    elif seen.wanted is not None and relied_on:
        claims = listed(name_of(each) for each in _unbound(seen) if "storageClassName" not in each["spec"])
        yield problem(f"there is no default StorageClass, and these claims set none: {claims}")
    elif seen.wanted is None:
        yield warning(f"there is no default StorageClass; there are: {listed(map(name_of, _classes(seen))) or 'none'}")
    else:
        yield ok("there is no default StorageClass, and the stack needs none")


@check(
    "storage-class",
    *_STORAGE,
    "Does every StorageClass that the stack uses exist, with a provisioner?",
    why="If its class or provisioner does not exist, a claim stays Pending, and so does the pod.",
    remedy="set one of the classes that `kubectl get storageclasses` lists, or install the class's driver",
)
def storage_class(seen: Observation) -> Outcomes:
    """Checks class, provisioner, binding mode and access modes of each claim that is not bound."""
    done: set[str] = set()
    for claim in _unbound(seen):
        given = claim["spec"].get("storageClassName")
        if given == "":
            yield _static(seen, claim)
            continue
        found = _class_of(seen, claim)
        if found is None:
            if given is not None:
                known = listed(map(name_of, _classes(seen)))
                yield problem(f"claim {name_of(claim)}: there is no StorageClass {given}; there are: {known or 'none'}")
            continue
        yield from _modes(claim, found)
        if name_of(found) not in done:
            done.add(name_of(found))
            yield _provisioned(seen, found)


def _static(seen: Observation, claim: KubeObject) -> Outcome:
    free = [
        name_of(each)
        for each in seen.all("persistentvolumes")
        if (each.get("status") or {}).get("phase") == "Available"
        and not each["spec"].get("storageClassName")
        and amount(each["spec"]["capacity"]["storage"]) >= amount(claim["spec"]["resources"]["requests"]["storage"])
    ]
    if free:
        return ok(f"claim {name_of(claim)}: a volume without a class is available: {listed(free)}")
    return problem(f"claim {name_of(claim)} needs a volume without a class, and no large enough one is available")


def _modes(claim: KubeObject, found: KubeObject) -> Outcomes:
    several = [each for each in claim["spec"].get("accessModes") or [] if each in ("ReadWriteMany", "ReadOnlyMany")]
    if several and is_for_one_node(found["provisioner"]):
        yield problem(
            f"claim {name_of(claim)} requests {several[0]}, but only one node at a time can mount volumes of "
            f"{name_of(found)} ({found['provisioner']})",
            "set a StorageClass for a shared file system (NFS, CephFS, EFS, Filestore, Azure Files)",
        )


def _provisioned(seen: Observation, found: KubeObject) -> Outcome:
    name, provisioner = name_of(found), found["provisioner"]
    if provisioner == _NO_PROVISIONER:
        return warning(
            f"StorageClass {name} does not provision volumes dynamically",
            "create a PersistentVolume of that class for each claim",
        )
    drivers = [name_of(each) for each in seen.all("csidrivers.storage.k8s.io")]
    if ".csi." in provisioner and provisioner not in drivers:
        return problem(
            f"StorageClass {name}: its driver {provisioner} is not installed; there are: {listed(drivers) or 'none'}",
            "install the CSI driver (on EKS it is an add-on), or set another class",
        )
    zones = {(each["metadata"].get("labels") or {}).get(_ZONE) for each in seen.cluster.objects.get("nodes", ())}
    if found.get("volumeBindingMode", "Immediate") == "Immediate" and len(zones - {None}) > 1:
        return warning(
            f"StorageClass {name} binds immediately, and the nodes are in {len(zones - {None})} zones: a volume may be created "
            "in a zone where its pod cannot run",
            "use a class with volumeBindingMode: WaitForFirstConsumer",
        )
    return ok(f"StorageClass {name}: {provisioner}, binds {found.get('volumeBindingMode', 'Immediate')}")


@check(
    "expansion",
    *_STORAGE,
    "Can volumes be expanded?",
    why="Models and chats fill volumes. Without expansion, growing a full volume means moving its data to a new one.",
    remedy="`kubectl patch storageclass NAME -p '{\"allowVolumeExpansion\": true}'`, if the driver supports it; or request "
    "more storage from the start",
)
def expansion(seen: Observation) -> Outcomes:
    """Checks the class of each claim, and whether the stack requests more than a bound claim has."""
    live = {name_of(each): each for each in seen.own("persistentvolumeclaims")}
    fixed = {
        name_of(claim): name_of(found)
        for claim in seen.stack.claims
        if (found := _class_of(seen, live.get(name_of(claim), claim))) and not found.get("allowVolumeExpansion")
    }
    for claim in seen.stack.claims:
        name, there = name_of(claim), live.get(name_of(claim))
        if there is None or name not in fixed:
            continue
        wanted, has = (each["spec"]["resources"]["requests"]["storage"] for each in (claim, there))
        if amount(wanted) > amount(has):
            yield problem(
                f"claim {name} has {has}, the stack requests {wanted}, and its class {fixed[name]} does not allow expansion"
            )
    if fixed:
        yield warning(f"StorageClass {listed(sorted(set(fixed.values())))} does not allow expansion: {listed(fixed)}")
    elif seen.stack.claims:
        yield ok("every claim's class allows expansion")


@check(
    "existing-claim",
    *_STORAGE,
    "Do the existing claims that the stack mounts exist?",
    why="A pod that mounts a missing claim stays Pending.",
    remedy="create the claim in the stack's namespace, or remove existingClaim to have the stack create one",
)
def existing_claim(seen: Observation) -> Outcomes:
    """Checks that each existingClaim exists, and has not lost its volume."""
    there = {name_of(each): each for each in seen.own("persistentvolumeclaims")}
    for name in seen.stack.existing_claims:
        if name not in there:
            yield problem(f"claim {name} does not exist in namespace {seen.stack.namespace}")
        elif (phase := (there[name].get("status") or {}).get("phase")) == "Lost":
            yield problem(
                f"claim {name} has lost its volume", "restore the volume, or restore a backup into a new claim"
            )
        else:
            yield ok(f"claim {name} exists ({phase})")


@check(
    "sqlite-storage",
    *_STORAGE,
    "Is the WebUI's volume on storage that SQLite supports?",
    why="SQLite, the default store for chats and embeddings, needs file locks and fast writes. On network storage it reports "
    "`database is locked`, answers take minutes, and the database may be corrupted.",
    remedy="use block storage or a local disk (airis:webui.storage.storageClass), or PostgreSQL (airis:webui.database and "
    "airis:webui.vectorStore); docs/data.md describes the move",
)
def sqlite_storage(seen: Observation) -> Outcomes:
    """Checks the volume of the WebUI's claim, if it is bound and may be read; otherwise its class."""
    webui = seen.stack.settings.webui
    held = [name for name, here in (("chats", webui.database is None), ("embeddings", webui.vectors_on_volume)) if here]
    name = data_claim(seen.stack)
    if not held or not name:
        return
    claim = named(seen.own("persistentvolumeclaims"), name) or named(seen.stack.claims, name)
    if claim is None:  # the check existing-claim reports it
        return
    found, words = _file_system(seen, claim)
    if found is None:
        yield ok(f"claim {name}, with {' and '.join(held)} in SQLite: {words}")
    else:
        yield Outcome(
            found.state, f"claim {name}, with {' and '.join(held)} in SQLite, is on {found} ({words}): {found.why}"
        )


def _file_system(seen: Observation, claim: KubeObject) -> tuple[FileSystem | None, str]:
    """The network file system of a claim's volume, if any, and how that was determined."""
    spec = claim["spec"]
    volume = named(seen.cluster.objects.get("persistentvolumes", ()), spec.get("volumeName", ""))
    if volume is not None:
        return network_storage.of_volume(volume["spec"]), f"volume {name_of(volume)}"
    made_by = _class_of(seen, claim)
    if made_by is None:
        return None, "its class is unknown"
    shared = "ReadWriteMany" in (spec.get("accessModes") or ())
    found = network_storage.of_provisioner(made_by["provisioner"], made_by.get("parameters") or {}, shared=shared)
    return found, f"StorageClass {name_of(made_by)}, {made_by['provisioner']}"
