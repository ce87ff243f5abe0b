"""A cluster, by kubeconfig and kubectl: which one it is, its objects, and their status."""
