"""Records in, text or data out; never measures, never decides."""
