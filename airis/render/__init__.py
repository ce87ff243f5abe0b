"""Renders a stack to Kubernetes objects, without a cluster or the Pulumi engine: `airis render` and `check`."""
