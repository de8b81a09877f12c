"""How Hypothesis looks for examples here."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline and no complaint of slowness: neither is a law of this package, and both depend on
# what else the machine does. The same examples in each run, so that a red run stays red.
settings.register_profile(
    "laws", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
# To look for long, and each time elsewhere: HYPOTHESIS_PROFILE=long.
settings.register_profile(
    "long", settings.get_profile("laws"), derandomize=False, max_examples=10_000, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "laws"))
