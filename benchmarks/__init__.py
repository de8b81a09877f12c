"""Where the figures in the docs come from: `python -m benchmarks`, or `make bench`."""
