"""The names of the memory probes, without loading one."""

from __future__ import annotations

# The values of the ini option memreturn_probe.
PROBE_NAMES = ("auto", "linux", "portable")
