"""The policy pack: `pulumi preview --policy-pack policy` and `pulumi up --policy-pack policy` apply the rules."""

import sys
from pathlib import Path

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

# Pulumi runs this folder as a program; the rules import settings/ from the parent folder
sys.path.insert(0, str(Path(__file__).parents[1]))

from policy.rules import RULES, Registered, Rule, level


def policies() -> list[ResourceValidationPolicy]:
    """The rules as Pulumi policies, with the enforcement levels that follow from the stack's settings."""
    config = pulumi.Config("airis")
    production = config.get_bool("production") or False
    pod_security = config.get("podSecurity") or "restricted"
    return [_policy(rule, level(rule, production=production, pod_security=pod_security)) for rule in RULES]


def _policy(rule: Rule, enforced: str) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type.startswith("kubernetes:"):
            for problem in rule.problems(Registered(args.props, protect=args.opts.protect)):
                report(str(problem), None)

    return ResourceValidationPolicy(rule.name, rule.description, validate, EnforcementLevel(enforced))


if __name__ == "__main__":
    PolicyPack("airis", list(policies()))
