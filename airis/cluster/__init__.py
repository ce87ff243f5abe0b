"""A cluster, by kubeconfig and kubectl: which one it is, its objects, and what became of them."""
