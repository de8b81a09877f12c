"""A judged test in a fresh interpreter, whose reports come back as if it had run here."""
