"""Settings of the whole stack: the cluster, its platform, network policies, takeover and transforms."""
