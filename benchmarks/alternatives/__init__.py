"""What each tool says of the same work-loads: `python -m benchmarks.alternatives`."""
