"""Settings that every workload has: resources, storage, probes, scheduling, autoscaling."""
