"""The ratchet: what a suite retained once is recorded, and more than that fails."""
