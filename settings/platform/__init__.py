"""Settings of the whole stack: cluster, platform, network policies, takeover and transforms."""
