"""How the documentation is built; `make docs` does it."""

from importlib import metadata

project = "pytest-memreturn"
author = "pytest-memreturn contributors"
copyright = f"2026, {author}"
release = metadata.version(project)

extensions = ["myst_parser"]
# Headings are link targets down to the third level: messages and pages point at them.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

# No intersphinx: a build must not depend on the network. Nitpicky, because a reference that
# leads nowhere is a bug; the build turns its warning into a failure.
nitpicky = True

exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {release}"
