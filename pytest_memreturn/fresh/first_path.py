"""The folder that an interpreter looks for modules in first: that of the run, once it is needed."""

from __future__ import annotations

import sys
from pathlib import Path

# What a fresh interpreter runs. Before it imports anything: a project may have a platform.py or a
# queue.py of its own in that folder. Under `-P` nothing was put there. The arguments are as `-m`
# has them: the file of the module comes first.
START = """\
import sys
if not sys.flags.safe_path:
    del sys.path[0]
from importlib import import_module
module = import_module(sys.argv[1])
sys.argv[:] = [module.__file__, *sys.argv[2:]]
sys.exit(module.main(*sys.argv[1:]))
"""


def insert_first_path(*, keeps: bool) -> None:
    """Have the folder first once more that ``python -m`` puts there, if the run has it."""
    if keeps and not sys.flags.safe_path:
        sys.path.insert(0, str(Path.cwd()))
