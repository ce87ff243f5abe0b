"""Explains what to do if an object of the stack already exists: Pulumi's provider refuses to create it."""

from collections.abc import Iterable

import pulumi

from components.transform import Transform

_KEPT = ("Namespace", "PersistentVolumeClaim")
"""Kinds that `destroy` leaves in the cluster."""
_TAKE_OVER = (
    "If a destroyed stack left it, or it was created for this stack, set PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true for the next "
    "`up`, which adopts it with its data (docs/data.md). If another stack uses it, set another airis:namespace for this stack."
)
"""Source of the variable: pulumi/pulumi-kubernetes, provider/pkg/gen/schema.go."""
_IN_USE = (
    "If another stack runs there, set another airis:namespace for this stack. If Open WebUI or Ollama runs there without "
    "Pulumi, `airis adopt` adopts it (docs/moving.md). If it is not needed, delete it."
)
_REFUSED = "already exists"
"""The API server's wording. Source: kubernetes/apimachinery, pkg/api/errors/errors.go, NewAlreadyExists."""


def what_to_do(kinds: Iterable[str]) -> str:
    """The fix if objects of these kinds already exist."""
    return _TAKE_OVER if all(kind in _KEPT for kind in kinds) else _IN_USE


def saying_what_to_do() -> Transform:
    """A transformation that reports each object that cannot be created because it exists, with the fix."""
    hook = pulumi.ErrorHook("exists-already", _say)
    options = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(on_error=[hook]))

    def transform(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith("kubernetes:") or args.opts.id is not None:  # with an id, it is only read
            return None
        return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, options))

    return transform


def _say(args: pulumi.ErrorHookArgs) -> bool:
    """Logs the error, and does not retry."""
    if args.failed_operation == "create" and args.new_inputs is not None and _REFUSED in args.errors[0]:
        kind, name = args.new_inputs["kind"], args.new_inputs["metadata"]["name"]
        pulumi.log.error(f"{kind}/{name} {_REFUSED}, and this stack did not create it. {what_to_do([kind])}")
    return False
