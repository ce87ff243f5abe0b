"""Says what to do where an object is there already that the stack is to make: Pulumi's provider refuses to make it."""

import pulumi

LEFT_BEHIND = (
    "If a destroyed stack has left it, PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true in the environment of the next `up` takes it "
    "over with its data (docs/data.md). If another stack uses it, give this one another airis:namespace."
)
"""What to do about an object that `destroy` leaves.

Source of the variable: pulumi/pulumi-kubernetes, provider/pkg/gen/schema.go.
"""


def saying_what_to_do(kind: str, name: str) -> list[pulumi.ErrorHook]:
    """For `on_error` of an object that `destroy` leaves. `name` names the hook."""

    def say(args: pulumi.ErrorHookArgs) -> bool:
        if "already exists" in args.errors[0]:
            pulumi.log.error(f"{kind}/{name} is there already, and this stack has not made it. {LEFT_BEHIND}")
        return False  # it is not tried again

    return [pulumi.ErrorHook(f"{name}-exists", say)]
