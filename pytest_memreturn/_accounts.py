"""What accounts are called, by the allocator whose memory they name; pure."""

from __future__ import annotations

UNEXPLAINED = "unexplained"
LIVE, FREE = "-live", "-free"
