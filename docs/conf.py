"""How the documentation is built; `make docs` does it."""

from importlib import metadata

project = "pytest-memreturn"
author = "pytest-memreturn contributors"
copyright = f"2026, {author}"
release = metadata.version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc"]
# Headings are link targets down to the third level: messages and pages point at them.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

# No intersphinx: a build must not depend on the network. Nitpicky, because a reference that
# leads nowhere is a bug; the build turns its warning into a failure.
nitpicky = True
nitpick_ignore_regex = [
    # Other projects' names: their own documentation, and the network, would be needed.
    ("py:class", r"(collections\.abc|pytest)\.\w+"),
    # What signatures name and nobody imports: aliases of literals (the text says which words
    # they stand for), and private data classes that scripts and snapshots are made of.
    ("py:class", r"Outcome|PeakQuality|Rung|Survivors|tuple\[(Holding|str)"),
    ("py:class", r"pytest_memreturn\._snapshot\.AllocatorStatistics"),
]

# Docstrings name what is plain code between single backquotes.
default_role = "code"
# Members in the order in which somebody thought about them.
autodoc_member_order = "bysource"

exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"{project} {release}"
# Its button to the source of a page lies outside of all landmarks; the repository has the source.
html_theme_options: dict[str, object] = {"top_of_page_buttons": []}
html_show_sourcelink = False
html_static_path = ["_static"]
html_js_files = ["reading.js"]
html_css_files = ["reading.css"]
