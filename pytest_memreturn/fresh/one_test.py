"""The plugin of a fresh interpreter's run: of all tests it leaves one."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import pytest

# The name it is registered under, by which a run knows that it is one of these.
NAME = "memreturn-one-test"

# What must not happen twice, by where the options of pytest and of its plugins are kept: reports
# and recordings of others, debuggers, other processes.
_NEUTRAL: Mapping[str, object] = {
    "memreturn_report": None,
    "xmlpath": None,
    "htmlpath": None,
    "json_report": False,
    "report_log": None,
    "log_file": None,
    "cacheclear": False,
    "pastebin": None,
    "memray": False,
    "usepdb": False,
    "trace": False,
    "collectonly": False,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "numprocesses": None,
    "dist": "no",
    "distload": False,
    "tx": [],
    "looponfail": False,
}


def is_a_fresh_run(config: pytest.Config) -> bool:
    """Whether this run is one of a single test, that another run has started."""
    return bool(config.pluginmanager.has_plugin(NAME))


class OneTest:
    """Leaves one test of all. `path` and `nodeid`: its file, and its name.

    `options`: those to be set besides, by where they are kept.
    """

    def __init__(self, nodeid: str, path: str, options: Mapping[str, object]) -> None:
        # What pytest registers a plugin under that it is handed as an object.
        self.__name__ = NAME
        self._nodeid = nodeid
        self._path = path
        self._options = {**_NEUTRAL, **options}
        self.found = 0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
        """Take back what must not happen twice, and put the test's file in the place of all."""
        self._neutralise(config)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """The same once more: plugins make options of options."""
        self._neutralise(config)

    def _neutralise(self, config: pytest.Config) -> None:
        for name, value in self._options.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        config.args = [self._path]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        """Leave one test, whichever of those that are left others would take for theirs."""
        named = [one for one in items if one.nodeid == self._nodeid]
        self.found = len(named)
        items[:] = named[:1]
        yield
        items[:] = named[:1]
