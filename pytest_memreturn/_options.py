"""The options as pytest sees them: declared here, and turned into sources of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_memreturn._settings import Source
    from pytest_memreturn.report.files import ReportTarget

MARKER = (
    "returns_memory(max_retained='2 MiB', *, min_returned=None, trim=False, enabled=True): "
    "fail this test when the memory it took is not returned to the operating system."
)

_INI = (
    ("memreturn", "bool", "Judge every test, as --memreturn does."),
    ("memreturn_max_retained", "string", "Default allowance, such as '2 MiB'."),
    ("memreturn_trim", "bool", "Judge after every allocator was asked to trim."),
    ("memreturn_mode", "string", "What a retained verdict does: fail, warn or off."),
    ("memreturn_strict", "bool", "A test that could not be judged fails."),
    ("memreturn_report", "linelist", "Reports: 'table', 'PATH.json' or 'FORMAT:PATH', one a line."),
    ("memreturn_probe", "string", "What reads memory: auto, linux or portable."),
)

# Settings of a run by keyword: where the command line keeps them, and the ini option's name.
_SETTINGS = {
    "enabled": ("memreturn", "memreturn"),
    "max_retained": ("memreturn_max_retained", "memreturn_max_retained"),
    "trim": ("memreturn_trim", "memreturn_trim"),
    "mode": ("memreturn_mode", "memreturn_mode"),
    "strict": ("memreturn_strict", "memreturn_strict"),
}

_FLAGS = {
    "enabled": "--memreturn",
    "max_retained": "--memreturn-max-retained",
    "trim": "--memreturn-trim",
    "mode": "--memreturn-mode",
    "strict": "--memreturn-strict",
}


def declare(parser: pytest.Parser) -> None:
    """Declare every option. Flags default to ``None``, so that an ini-only setting counts."""
    group = parser.getgroup("memreturn", "memory returned to the operating system")
    group.addoption(
        "--memreturn",
        action="store_true",
        default=None,
        help="judge every test; markers refine",
    )
    group.addoption(
        "--memreturn-report",
        action="append",
        nargs="?",
        const="table",
        default=None,
        metavar="[FORMAT:]PATH",
        help="without a value: a table at the end of the run; with a path: a report file "
        "(json, by suffix or by prefix). May be repeated",
    )
    group.addoption(
        "--memreturn-max-retained",
        default=None,
        metavar="SIZE",
        help="default allowance, such as '2 MiB' (which is the default)",
    )
    group.addoption(
        "--memreturn-trim",
        dest="memreturn_trim",
        action="store_true",
        default=None,
        help="judge after every allocator was asked to trim",
    )
    group.addoption(
        "--no-memreturn-trim",
        dest="memreturn_trim",
        action="store_false",
        help="judge after garbage collection (the default)",
    )
    group.addoption(
        "--memreturn-mode",
        default=None,
        metavar="{fail,warn,off}",
        help="what a retained verdict does (default: fail)",
    )
    group.addoption(
        "--memreturn-strict",
        action="store_true",
        default=None,
        help="a test that could not be judged fails",
    )
    for name, kind, description in _INI:
        parser.addini(name, description, type=kind, default=None)  # type: ignore[arg-type]


def run_sources(config: pytest.Config) -> list[Source]:
    """The command line and the ini file as checked sources, closest first.

    Raises `pytest.UsageError` naming the option, the value and the origin.
    """
    from pytest_memreturn._errors import InvalidSettingError
    from pytest_memreturn._settings import Source, check

    sources = []
    for keyword, (destination, ini_name) in _SETTINGS.items():
        for origin, value in (
            (_FLAGS[keyword], config.getoption(destination)),
            (f"ini option {ini_name}", _ini(config, ini_name)),
        ):
            if keyword == "trim" and value is False and origin.startswith("--"):
                origin = "--no-memreturn-trim"
            try:
                sources.append(check(Source(origin, {keyword: value})))
            except InvalidSettingError as error:
                msg = f"{error.origin}: {error.problem}"
                raise pytest.UsageError(msg) from None
    return sources


def report_targets(config: pytest.Config) -> list[ReportTarget]:
    """Every report that was asked for; raises `pytest.UsageError` for one that can't be written."""
    from pytest_memreturn.report.files import check_writable, parse_target

    asked = [("--memreturn-report", text) for text in config.getoption("memreturn_report") or ()]
    if not asked:
        asked = [
            ("ini option memreturn_report", text) for text in _ini(config, "memreturn_report") or ()
        ]
    targets = []
    for origin, text in asked:
        try:
            target = parse_target(text)
            if target.path is not None:
                check_writable(target.path)
        except ValueError as error:
            msg = f"{origin}: {error}"
            raise pytest.UsageError(msg) from None
        except OSError as error:
            msg = f"{origin}: cannot write {text!r}: {error.strerror or error}"
            raise pytest.UsageError(msg) from None
        targets.append(target)
    return targets


def probe_name(config: pytest.Config) -> str:
    """Which probe the ini file asks for; ``auto`` when it does not."""
    from pytest_memreturn.probes.names import PROBE_NAMES

    name = _ini(config, "memreturn_probe")
    if name is None:
        return "auto"
    if name not in PROBE_NAMES:
        msg = f"ini option memreturn_probe: {name!r} is not one of {', '.join(PROBE_NAMES)}"
        raise pytest.UsageError(msg)
    return str(name)


def _ini(config: pytest.Config, name: str) -> Any:
    try:
        return config.getini(name)
    except (ValueError, TypeError) as error:
        msg = f"ini option {name}: {error}"
        raise pytest.UsageError(msg) from None
