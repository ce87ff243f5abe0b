"""Benchmarks, as ratios of measurements of one run. `make bench` writes docs/benchmarks.md."""
