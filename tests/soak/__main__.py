"""Runs rounds, then compares each verdict with what its test declares."""

from __future__ import annotations

import sys

from .run import main

sys.exit(main(sys.argv[1:]))
