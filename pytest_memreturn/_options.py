"""The options as pytest sees them: declared here, and turned into sources of settings."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_memreturn._settings import Source
    from pytest_memreturn.report.files import ReportTarget

_INI = (
    ("memreturn", "bool", "Judge every test, as --memreturn does."),
    ("memreturn_max_retained", "string", "Default allowance, such as '2 MiB'."),
    ("memreturn_trim", "bool", "Judge after every allocator was asked to trim."),
    ("memreturn_settle", "string", "At most so many seconds to wait for memory on its way back."),
    ("memreturn_rounds", "string", "Run each judged test so often, and judge growth per round."),
    ("memreturn_warmup", "string", "Run each judged test so often before it is judged."),
    (
        "memreturn_max_per_round",
        "string",
        "How much a test may grow in each round, such as '1 KiB'.",
    ),
    ("memreturn_mode", "string", "What a retained verdict does: fail, warn or off."),
    ("memreturn_strict", "bool", "A test that could not be judged fails."),
    ("memreturn_explain", "bool", "Re-run a test that retained, as --memreturn-explain does."),
    ("memreturn_explain_timeout", "string", "At most so many seconds for each of the re-runs."),
    ("memreturn_report", "linelist", "Reports: 'table', 'PATH.json' or 'FORMAT:PATH', one a line."),
    ("memreturn_compare", "string", "Let pass what this file has recorded, and no more."),
    ("memreturn_tolerance", "string", "How much more than what was recorded is not yet more."),
    ("memreturn_any_environment", "bool", "Compare with a record of another environment."),
    ("memreturn_probe", "string", "What reads memory: auto, linux or portable."),
)


# Every setting of the run: its keyword, the name it has on both levels, and its flags.
_SETTINGS = (
    ("enabled", "memreturn", "--memreturn", ""),
    ("max_retained", "memreturn_max_retained", "--memreturn-max-retained", ""),
    ("trim", "memreturn_trim", "--memreturn-trim", "--no-memreturn-trim"),
    ("settle", "memreturn_settle", "--memreturn-settle", ""),
    ("rounds", "memreturn_rounds", "--memreturn-rounds", ""),
    ("warmup", "memreturn_warmup", "--memreturn-warmup", ""),
    ("max_per_round", "memreturn_max_per_round", "--memreturn-max-per-round", ""),
    ("mode", "memreturn_mode", "--memreturn-mode", ""),
    ("strict", "memreturn_strict", "--memreturn-strict", ""),
    ("explain", "memreturn_explain", "--memreturn-explain", ""),
    ("explain_timeout", "memreturn_explain_timeout", "--memreturn-explain-timeout", ""),
)

_RATCHET = ("memreturn_save", "memreturn_compare")
_OF_RATCHET = ("memreturn_tolerance", "memreturn_any_environment")


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
        "(json, html or md, by suffix or by prefix). May be repeated",
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
        "--memreturn-settle",
        default=None,
        metavar="SECONDS",
        help="wait at most so long for memory that is still on its way back (default: 3); 0: never",
    )
    group.addoption(
        "--memreturn-rounds",
        default=None,
        metavar="N",
        help="run the body of each judged test N times, and judge how it grows from round to round",
    )
    group.addoption(
        "--memreturn-warmup",
        default=None,
        metavar="N",
        help="run the body of each judged test N times before it is judged (default: 0)",
    )
    group.addoption(
        "--memreturn-max-per-round",
        default=None,
        metavar="SIZE",
        help="how much a test with rounds may grow in each of them (default: 0)",
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
    group.addoption(
        "--memreturn-explain",
        action="store_true",
        default=None,
        help="re-run a test that retained in fresh interpreters, to name lines and to try remedies",
    )
    group.addoption(
        "--memreturn-explain-timeout",
        default=None,
        metavar="SECONDS",
        help="end a re-run that takes longer (default: 60)",
    )
    group.addoption(
        "--memreturn-save",
        default=None,
        metavar="PATH",
        help="record what each test retains, and fail none for it; with --memreturn-compare: "
        "record only what is less",
    )
    group.addoption(
        "--memreturn-compare",
        default=None,
        metavar="PATH",
        help="let each test retain what that file has recorded of it, and fail on more",
    )
    group.addoption(
        "--memreturn-tolerance",
        default=None,
        metavar="SIZE",
        help="how much more than what was recorded is not yet more (default: 1 MiB, or 2 %% of "
        "what was recorded where that is more)",
    )
    group.addoption(
        "--memreturn-any-environment",
        action="store_true",
        default=None,
        help="compare with what was recorded in another environment, too",
    )
    for name, kind, description in _INI:
        parser.addini(name, description, type=kind, default=None)  # type: ignore[arg-type]


def are_given(config: pytest.Config) -> bool:
    """Whether the command line or the ini file says anything of this plugin."""
    destinations = (
        *("memreturn_report", *_RATCHET, *_OF_RATCHET),
        *(name for _, name, _, _ in _SETTINGS),
    )
    on_command_line = any(config.getoption(name) is not None for name in destinations)
    return on_command_line or any(_ini(config, name) is not None for name, _, _ in _INI)


def may_have_workers(config: pytest.Config) -> bool:
    """Whether pytest-xdist runs the tests elsewhere, so that nobody here sees their marks."""
    return bool(config.getoption("dist", "no") != "no")


def run_by_each_worker(config: pytest.Config) -> bool:
    """Whether each worker of pytest-xdist runs every test, and not its share of them."""
    return bool(config.getoption("dist", "no") == "each")


def run_sources(config: pytest.Config) -> list[Source]:
    """The command line and the ini file as checked sources, closest first.

    Raises `pytest.UsageError` naming the option, the value and the origin.
    """
    from pytest_memreturn._errors import InvalidSettingError
    from pytest_memreturn._settings import Source, check

    sources = []
    for keyword, name, flag, flag_off in _SETTINGS:
        on_command_line = config.getoption(name)
        for origin, value in (
            (flag_off if on_command_line is False else flag, on_command_line),
            (f"ini option {name}", _ini(config, name)),
        ):
            if value is None:
                continue
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


def uses_ratchet(config: pytest.Config) -> bool:
    """Whether this run compares with what was recorded, or records."""
    return any(found and found[1] for found in map(functools.partial(closest, config), _RATCHET))


def closest(config: pytest.Config, name: str) -> tuple[str, Any] | None:
    """An option that has an ini setting of the same name, or none: its origin and its value."""
    value = config.getoption(name)
    if value is not None:
        return f"--{name.replace('_', '-')}", value
    value = _ini(config, name) if any(name == one for one, _, _ in _INI) else None
    return None if value is None else (f"ini option {name}", value)


def tolerance_bytes(config: pytest.Config) -> int | None:
    """How much more than what was recorded is not yet more; ``None`` where nobody says."""
    found = closest(config, "memreturn_tolerance")
    if found is None:
        return None
    from pytest_memreturn._sizes import parse_size

    origin, value = found
    try:
        return parse_size(value)
    except ValueError as error:
        msg = f"{origin}: {error}"
        raise pytest.UsageError(msg) from None


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


def _ini(config: pytest.Config, name: str) -> Any:  # noqa: ANN401 - as varied as getini()
    try:
        return config.getini(name)
    except (ValueError, TypeError, pytest.UsageError) as error:
        msg = f"ini option {name}: {error}"
        raise pytest.UsageError(msg) from None
