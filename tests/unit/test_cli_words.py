"""What the commands say before they do anything: usage, settings, names; and how a table fits its reader."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import click
import pytest
from rich.console import Console
from rig.commands import Done, here
from rig.installations import settings_text

from tasks.cli import COMMANDS, terminal
from tasks.cli.terminal import show_table, whoami

NEEDING_SETTINGS = [
    ("check",),
    ("run", "backup", "main"),
    ("cancel", "1a2b"),
    ("pause", "main"),
    ("resume", "main"),
    ("history",),
    ("show", "1a2b"),
    ("backups", "main"),
    ("fetch", "latest", "main", "-o", "x.rdb"),
    ("worker", "backup"),
    ("beat",),
    ("flower", "--no-password"),
]
WITH_JSON = [each for each in NEEDING_SETTINGS if each[0] not in ("worker", "beat", "flower")]
WITH_TARGET = [
    ("check", "mian"),
    ("run", "backup", "mian"),
    ("pause", "mian"),
    ("resume", "mian"),
    ("history", "mian"),
    ("backups", "mian"),
    ("fetch", "latest", "mian", "-o", "x.rdb"),
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings whose servers do not exist."""
    path = tmp_path / "redkeep.toml"
    path.write_text(settings_text("redis://127.0.0.1:1", store=tmp_path.as_uri()))
    return path


def first_words(arguments: tuple[str, ...]) -> str:
    return arguments[0]


# -- usage -------------------------------------------------------------------------------------------------------------


def test_help_names_every_command_with_its_first_sentence() -> None:
    said = here("--help")
    assert said.code == 0
    lines = said.out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines if re.match("  [a-z]", line)] == list(COMMANDS)
    assert not [line for line in lines if line.endswith("...")], "a sentence that is cut off helps nobody"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    said = here(command, "-h")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: redkeep {command} ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("chekc",), "check"),
        (("histroy",), "history"),
        (("run", "bakcup", "main"), "'TASK': 'bakcup' is not "),
        (("run", "backup"), "Missing argument 'TARGET'"),
        (("run", "backup", "main", "--detach", "--inline"), "exclude each other"),
        (("run", "backup", "main", "--detatch"), "No such option"),
        (("pause", "main", "bakcup"), "'[TASK]': 'bakcup' is not one of 'backup'"),
        (("history", "--task", "bakcup"), "'bakcup' is not one of 'backup'"),
        (("history", "--limit", "0"), "0 is not in the range"),
        (("fetch", "latest", "main"), "Missing option '-o'"),
        (("fetch", "latest", "main", "-o", "-", "--json"), "standard output"),
        (("worker",), "Missing argument 'QUEUE...'"),
        (("demo", "--megabytes", "none"), "'none' is not a valid integer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_line_that_cannot_be_understood_exits_64_and_says_why(arguments: tuple[str, ...], told: str) -> None:
    said = here(*arguments)
    assert (said.code, said.out) == (64, "")
    assert told in said.err
    assert "Traceback" not in said.err


def test_the_version_is_told() -> None:
    said = here("--version")
    assert (said.code, said.err) == (0, "")
    assert re.fullmatch(r"redkeep, version \d+\.\d+\.\d+\n", said.out)


# -- settings ----------------------------------------------------------------------------------------------------------


def assert_one_error(said: Done, code: int, name: str) -> None:
    """Two lines: what was found, and what to do."""
    assert said.code == code
    assert said.out == ""
    message, hint = said.err.splitlines()
    assert message.startswith("redkeep: ")
    assert re.fullmatch(rf"  [A-Z`].*[.>]  \[{name}, {code}\]", hint)


@pytest.mark.parametrize("arguments", NEEDING_SETTINGS, ids=first_words)
def test_without_settings_every_command_says_where_it_looked(arguments: tuple[str, ...], tmp_path: Path) -> None:
    said = here("--config", tmp_path / "nowhere.toml", *arguments)
    assert_one_error(said, 10, "settings-missing")
    assert str(tmp_path / "nowhere.toml") in said.err


@pytest.mark.parametrize("arguments", WITH_JSON, ids=first_words)
def test_with_json_an_error_is_one_object_and_the_code_is_the_same(arguments: tuple[str, ...], tmp_path: Path) -> None:
    said = here("--config", tmp_path / "nowhere.toml", *arguments, "--json")
    assert (said.code, said.err) == (10, "")
    error = said.json["error"]
    assert set(error) == {"code", "name", "message", "hint"}
    assert (error["code"], error["name"]) == (10, "settings-missing")


def test_settings_in_the_current_directory_are_never_taken(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    assert_one_error(here("history"), 10, "settings-missing")


def test_a_relative_path_of_the_settings_is_the_callers(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    assert here("--config", "redkeep.toml", "backups", "main").code == 0


def test_wrong_settings_name_the_field(config: Path) -> None:
    config.write_text(config.read_text().replace("[store]", "[stoer]"))
    said = here("history", config=config)
    assert said.code == 11
    assert "stoer: is not a known key" in said.err
    assert "store: is required" in said.err
    assert "Traceback" not in said.err


def test_settings_that_may_not_be_read_say_so(tmp_path: Path) -> None:
    said = here("--config", tmp_path / "redkeep.toml" / "x", "history")
    assert said.code == 10


def test_a_variable_that_is_missing_is_named(config: Path) -> None:
    config.write_text(config.read_text().replace("redis://127.0.0.1:1", "redis://:${REDKEEP_TEST_PW}@127.0.0.1:1", 1))
    said = here("history", config=config)
    assert_one_error(said, 12, "secret-missing")
    assert "control.url: the environment has no variable REDKEEP_TEST_PW" in said.err


@pytest.mark.parametrize("arguments", WITH_TARGET, ids=first_words)
def test_an_unknown_target_lists_those_there_are(arguments: tuple[str, ...], config: Path) -> None:
    said = here(*arguments, config=config)
    assert_one_error(said, 13, "unknown-target")
    assert "Use one of: main." in said.err


def test_an_unknown_queue_lists_those_there_are(config: Path) -> None:
    said = here("worker", "backup", "bakcup", config=config)
    assert_one_error(said, 11, "settings-invalid")
    assert "Queues here: backup, drill, housekeeping, rewrite, tidy." in said.err


def test_a_worker_needs_a_queue_before_celerys_options(config: Path) -> None:
    said = here("worker", "--concurrency=2", config=config)
    assert said.code == 64
    assert "at least one queue" in said.err


def test_flower_needs_a_password_unless_told_otherwise(config: Path) -> None:
    said = here("flower", config=config)
    assert_one_error(said, 11, "settings-invalid")
    assert "FLOWER_BASIC_AUTH" in said.err


# -- tables ------------------------------------------------------------------------------------------------------------

COLUMNS = ("RUN", "RDB>", "BY", "NOTE")
ROWS = [["1a2b3c4d", "560.1 MiB", "somebody@somewhere", "no answer from the store, which is a long story " * 3]]


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


def terminal_of(columns: int, file: io.StringIO) -> Console:
    return Console(file=file, force_terminal=True, width=columns, color_system=None, highlight=False, soft_wrap=True)


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_in_a_terminal_no_row_is_wider_and_only_the_last_column_is_cut(
    columns: int, shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "out", terminal_of(columns, shown))
    show_table(COLUMNS, ROWS, drop=("BY", "RDB"))
    header, row = shown.getvalue().splitlines()
    assert len(row.rstrip()) <= columns
    assert row.startswith("1a2b3c4d ")
    assert row.rstrip().endswith("…") == (columns < 200)
    for name, cell in (("RDB", "560.1 MiB"), ("BY", "somebody@somewhere")):
        assert (name in header) == (cell in row), "a column is there whole, or not at all"
    assert ("BY" in header) == (columns >= 80)
    assert ("RDB" in header) == (columns >= 60)


def test_in_a_terminal_the_last_column_may_go_on_below(
    shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "out", terminal_of(60, shown))
    show_table(COLUMNS, ROWS, drop=("BY", "RDB"), fold=True)
    assert shown.getvalue().count("long") == 3


def test_into_a_pipe_a_row_is_one_whole_line_without_trailing_blanks(capfd: pytest.CaptureFixture[str]) -> None:
    show_table(COLUMNS, [*ROWS, ["5", "", "", ""]], drop=("BY", "RDB"))
    header, row, short = capfd.readouterr().out.splitlines()
    assert header.split() == ["RUN", "RDB", "BY", "NOTE"]
    assert row.count("long story") == 3
    assert short == "5"
    assert row == row.rstrip()


def test_brackets_in_a_cell_are_no_markup(capfd: pytest.CaptureFixture[str]) -> None:
    show_table(("A", "B"), [["[[target]] main", "[red]x[/red] [/nothing]"]])
    assert "[[target]] main [red]x[/red] [/nothing]" in capfd.readouterr().out


def test_who_calls_is_told_even_where_the_user_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    pid = os.fork()
    if not pid:  # a child may become a user that is in no passwd file, as in a container
        os.setuid(61_234)
        os._exit(0 if whoami().startswith("uid 61234@") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_every_command_is_a_click_command_with_a_short_name() -> None:
    from tasks.cli import redkeep as group

    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
