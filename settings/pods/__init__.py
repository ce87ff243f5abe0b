"""What every workload can be given: resources, storage, probes, scheduling, autoscaling."""
