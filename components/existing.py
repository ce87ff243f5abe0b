"""Says what to do where an object of the stack exists already: Pulumi's provider refuses to create it."""

from collections.abc import Iterable

import pulumi

from components.transform import Transform

_KEPT = ("Namespace", "PersistentVolumeClaim")
"""What `destroy` leaves in the cluster."""
_TAKE_OVER = (
    "If a destroyed stack left it, or it was made for this stack: PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true in the environment "
    "of the next `up` takes it over, with its data (docs/data.md). If another stack uses it: give this stack another "
    "airis:namespace."
)
"""Source of the variable: pulumi/pulumi-kubernetes, provider/pkg/gen/schema.go."""
_IN_USE = (
    "If another stack runs there: give this stack another airis:namespace. If Open WebUI or Ollama runs there without Pulumi: "
    "`airis adopt` takes it over (docs/moving.md). If nobody needs it: delete it."
)
_REFUSED = "already exists"
"""The API server's words. Source: kubernetes/apimachinery, pkg/api/errors/errors.go, NewAlreadyExists."""


def what_to_do(kinds: Iterable[str]) -> str:
    """The remedy where objects of these kinds exist already."""
    return _TAKE_OVER if all(kind in _KEPT for kind in kinds) else _IN_USE


def saying_what_to_do() -> Transform:
    """A transformation: an object that cannot be created because it exists is named, with the remedy."""
    hook = pulumi.ErrorHook("exists-already", _say)
    options = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(on_error=[hook]))

    def transform(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith("kubernetes:") or args.opts.id is not None:  # with an id, it is only read
            return None
        return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, options))

    return transform


def _say(args: pulumi.ErrorHookArgs) -> bool:
    """Logs it, and asks for no second try."""
    if args.failed_operation == "create" and args.new_inputs is not None and _REFUSED in args.errors[0]:
        kind, name = args.new_inputs["kind"], args.new_inputs["metadata"]["name"]
        pulumi.log.error(f"{kind}/{name} {_REFUSED}, and this stack did not make it. {what_to_do([kind])}")
    return False
