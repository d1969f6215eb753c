"""Wrong usage: lines on stderr that begin with `relay: `, exit 2, and nothing else."""

import pytest

from relay.cli import COMMANDS
from tests.commands.stage import Stage

KNOWN = ", ".join(COMMANDS)
ID = "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ("", [f"COMMAND: missing; expected one of {KNOWN}"]),
        ("jump", [f"'jump': no such command; expected one of {KNOWN}"]),
        ("--verbos", ["--verbos: no such option"]),
        ("messages", ["COMMAND: missing; expected one of list, show"]),
        ("messages drop", ["'drop': no such command; expected one of list, show"]),
        ("messages show", ["ID: missing; expected a message's id, which is a UUID"]),
        ("messages show x", ["ID: 'x': expected a message's id, which is a UUID"]),
        ("messages list --outcom read", ["--outcom: no such option; did you mean --outcome?"]),
        (
            "messages list --outcome x",
            ["--outcome: 'x': expected one of read, unwanted, dead, discarded"],
        ),
        ("messages list --limit 0", ["--limit: '0': expected a whole number from 1"]),
        ("messages list --limit", ["--limit: requires an argument"]),
        ("messages list --json=yes", ["--json: does not take a value"]),
        (
            "messages list --pending --finished",
            ["--pending: expected alone, without --finished and --outcome"],
        ),
        ("dead-letters list x", ["[ID]...: 'x': expected a message's id, which is a UUID"]),
        (
            "dead-letters list --older-than 2",
            ["--older-than: '2': expected a duration such as 500ms, 10s, 5m, 72h or 7d"],
        ),
        (
            "dead-letters retry",
            ["ID: missing; expected IDs, a filter such as --endpoint NAME, or --all"],
        ),
        (
            f"dead-letters retry --all {ID}",
            ["--all: expected alone or with filters, since IDs are given"],
        ),
        (
            "dead-letters discard",
            [
                "ID: missing; expected IDs, a filter such as --endpoint NAME, or --all",
                "--yes: missing; expected, since what is discarded never comes back",
            ],
        ),
        ("endpoints pause", ["NAME: missing; expected a value"]),
        ("journal", ["COMMAND: missing; expected one of backup, compact, downgrade, keys, reseal"]),
        (
            "journal drop",
            ["'drop': no such command; expected one of backup, compact, downgrade, keys, reseal"],
        ),
        ("secret x", ["Got unexpected extra argument (x)"]),
        ("healthcheck --url x", ["--url: expected a base URL such as http://127.0.0.1:8080"]),
        ("simulator --rate x", ["--rate: 'x': expected messages a second, from 0"]),
        ("simulator --listen x", ["--listen: 'x': expected HOST:PORT such as 0.0.0.0:8080 or"]),
        *(
            (f"{command} \udcff", [f"{command.split()[-1]}: '\\udcff': expected text in UTF-8"])
            for command in (
                "messages list --conversation",
                "messages list --category",
                "dead-letters list --conversation",
            )
        ),
        (
            "run --config /none",
            ["--config: '/none': expected a readable settings file (No such file or directory)"],
        ),
    ],
)
def test_a_line_for_each_mistake(stage: Stage, arguments: str, lines: list[str]) -> None:
    """Every mistake is a line that names what is wrong, its value and what is expected."""
    said = stage.relay(*arguments.split())
    assert (2, "") == (said.code, said.out)
    told = said.err.splitlines()
    assert len(lines) == len(told)
    for line, expected in zip(told, lines, strict=True):
        assert line.startswith(f"relay: {expected}")


@pytest.mark.parametrize(
    "arguments",
    [
        "run",
        "check",
        "messages list",
        f"messages show {ID}",
        "dead-letters list",
        f"dead-letters retry {ID}",
        "endpoints list",
        "endpoints pause x",
        "journal keys",
        "journal backup copy.db",
        "journal downgrade 0001",
        "journal reseal",
        "healthcheck",
    ],
)
def test_every_command_tells_every_mistake_in_the_settings(stage: Stage, arguments: str) -> None:
    """Wrong settings are wrong usage: all of it at once, without a secret."""
    stage.write_settings(listen="hunter2\nx", admin_token="hunter2 x", jornal="hunter2")
    said = stage.relay(*arguments.split())
    assert (2, "") == (said.code, said.out)
    assert [
        r"relay: listen: 'hunter2\nx': expected HOST:PORT such as 0.0.0.0:8080 or [::1]:8080",
        "relay: admin_token: ***: expected a token without spaces",
        "relay: jornal: unknown key; did you mean journal?",
    ] == said.err.splitlines()


@pytest.mark.parametrize("arguments", ["-h", *(f"{command} --help" for command in COMMANDS)])
def test_every_command_explains_itself(stage: Stage, arguments: str) -> None:
    """--help goes to stdout, and is no mistake."""
    said = stage.relay(*arguments.split())
    assert (0, "") == (said.code, said.err)
    assert said.out.startswith("Usage: relay")


def test_the_version(stage: Stage) -> None:
    """--version names the program and its version."""
    said = stage.relay("--version")
    assert (0, "relay 0.2.0\n") == (said.code, said.out)
