"""A stack as Kubernetes objects, without engine or cluster: `airis render` and `check`."""
