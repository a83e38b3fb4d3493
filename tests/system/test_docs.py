"""What the documents promise is there: commands, options, codes, links. test_recovery_doc.py walks the way back.

RENEW_DOCS=1 writes docs/errors.md anew.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from rig.commands import ROOT

from tasks.cli import COMMANDS, redkeep
from tasks.errors import USAGE_EXIT, Deferral, catalogue

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/*.md"))]
CALLED = [*DOCUMENTS, *sorted((ROOT / "docs").glob("**/*.service")), ROOT / "tasks" / "example.toml"]
CALL = re.compile(r"(?:^|[\s=/`(])redkeep((?: +(?:\\\||[^\s`#|;&<>])+)+)")
"""`redkeep` and the words after it, up to what ends a command."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- commands and options ----------------------------------------------------------------------------------------------


def calls(text: str) -> Iterator[list[str]]:
    """Every call of ours in code: in a fenced block or between backticks."""
    text = re.sub(r"^```acl .*?^```", "", text, flags=re.DOTALL | re.MULTILINE)  # there `redkeep` is a user
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = [span for each in prose.split("\n\n") for span in re.findall(r"`([^`]+)`", each.replace("\n", " "))]
    lines = [line for block in blocks for line in block.splitlines()] + spans
    lines += re.findall(r"^ExecStart\w*=(.*)$", text, re.MULTILINE)
    for line in lines:
        for words in CALL.findall(f" {line}"):
            first, *rest = words.split()
            if re.fullmatch(r"[a-z-]+", first):
                yield [first, *rest]


def option_names(command: click.Command) -> set[str]:
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}


def command_named(name: str) -> click.Command:
    found = redkeep.get_command(click.Context(redkeep), name)
    assert found is not None
    return found


@pytest.mark.parametrize("path", CALLED, ids=named)
def test_every_command_in_the_documents_exists_with_those_options(path: Path) -> None:
    for name, *words in calls(path.read_text()):
        for each in [name, *(word for word in words[1:2] if words[0] == "/")]:  # `pause / resume TARGET`
            assert each in COMMANDS, f"{path.name}: redkeep {each}"
        own = words[: words.index("--")] if "--" in words else words
        options = {word.partition("=")[0].rstrip(".,") for word in own if word.startswith("-") and word != "-"}
        assert options <= option_names(command_named(name)), f"{path.name}: redkeep {name} {' '.join(words)}"


def test_the_search_for_commands_finds_them() -> None:
    readme = [call[0] for call in calls((ROOT / "README.md").read_text())]
    assert set(readme) >= {"init", "check", "run", "worker", "beat", "flower", "cancel", "history", "backups", "fetch"}
    assert list(calls("`redkeep fetch ID\\|latest T -o -`\n```\n$ sudo x/redkeep run a --inline  # b\n```")) == [
        ["run", "a", "--inline"],
        ["fetch", "ID\\|latest", "T", "-o", "-"],
    ]


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if "```console" in path.read_text()], ids=named)
def test_every_example_is_a_command_line_that_is_understood(path: Path) -> None:
    for block in re.findall(r"^```console\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
        for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
            words = shlex.split(line, comments=True)
            at = next((at for at, word in enumerate(words) if word.endswith("redkeep")), len(words))
            for name, *arguments in [words[at + 1 :]] if words[at + 1 :] and words[at + 1] in COMMANDS else []:
                parent = click.Context(redkeep, **redkeep.context_settings)  # it decides how help is asked for
                command_named(name).make_context(name, list(arguments), parent=parent).close()


def test_every_command_a_hint_names_exists() -> None:
    for kind in catalogue().values():
        for name, *_ in calls(kind.hint):
            assert name in COMMANDS, f"{kind.__name__}: {kind.hint}"


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if not re.search(rf"redkeep( \w+ /)? {name}\b", text)] == []


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


def test_every_document_that_the_code_names_is_there() -> None:
    named_in_code = {
        (path.name, found)
        for path in [*ROOT.glob("tasks/**/*.py"), *ROOT.glob("tasks/*.toml"), ROOT / "celeryconfig.py"]
        for found in re.findall(r"\bdocs/[a-z/-]+\.md", path.read_text())
    }
    assert {(name, found) for name, found in named_in_code if not (ROOT / found).exists()} == set()


# -- error codes -------------------------------------------------------------------------------------------------------

HEAD = """\
# Error codes

The code is the exit code of the command too. `redkeep show RUN` has message and hint of a run that failed.

| code | name | tried again | what to do |
|---|---|---|---|
"""


def error_table() -> str:
    rows = ""
    for code, kind in sorted(catalogue().items()):
        again = "waits" if issubclass(kind, Deferral) else "yes" if kind.retry else "no"
        hint = kind.hint.replace("|", "\\|")
        rows += f"| {code} | `{kind('').name}` | {again} | {hint} |\n"
    return HEAD + rows


def test_the_table_of_errors_is_the_catalogue() -> None:
    path = ROOT / "docs" / "errors.md"
    if os.environ.get("RENEW_DOCS"):
        path.write_text(error_table())
    assert path.read_text() == error_table(), "RENEW_DOCS=1 writes it anew"


def test_every_code_leaves_the_shells_and_usages_alone() -> None:
    for code, kind in catalogue().items():
        assert 10 <= code < 126, kind
        assert code != USAGE_EXIT, kind
        assert kind.hint.endswith("."), kind
