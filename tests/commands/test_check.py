"""`relay check`."""

import sys

import pytest

from tests.commands.stage import Stage

NOWHERE = {"blaze_url": "ws://127.0.0.1:9/", "api_url": "http://127.0.0.1:9"}


def test_the_settings_are_printed_with_secrets_masked(stage: Stage) -> None:
    """Each setting is a line with its full path; nothing secret is among them."""
    stage.write_settings(admin_token="hunter2")
    said = stage.relay("check")
    assert (0, "") == (said.code, said.err)
    values = {row[0]: row[1] for row in said.rows}
    assert "25s" == values["drain_timeout"]
    assert "***" == values["admin_token"] == values["bots[0].endpoints[1].secret"]
    assert "http://127.0.0.1:9/" == values["bots[1].endpoints[0].url"]
    assert "true" == values["bots[1].endpoints[0].required"]
    assert "-" == values["blocked_networks"]
    assert "hunter2" not in said.out
    assert "whsec_" not in said.out


def test_warnings(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What works but may not be meant is warned of."""
    monkeypatch.setenv("RELAY_ADMIN_TOKENS", "hunter2")
    said = stage.relay("check")
    warning = "RELAY_ADMIN_TOKENS is no setting; did you mean RELAY_ADMIN_TOKEN?"
    assert ["warning", warning] == said.rows[-1]


def test_a_document_for_programs(stage: Stage) -> None:
    """--json gives one document."""
    document = stage.relay("check", "--json").document
    assert {"settings", "warnings"} == document.keys()
    assert "support" == document["settings"]["bots"][0]["name"]


def test_what_does_not_hold_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --connect each login and each endpoint is a line; one that fails makes exit 1."""
    monkeypatch.setenv("RELAY_BLAZE_URL", NOWHERE["blaze_url"])
    monkeypatch.setenv("RELAY_API_URL", NOWHERE["api_url"])
    said = stage.relay("check", "--connect")
    components = [
        "support: GET /me",
        "support: socket",
        "support/crm",
        "support/log",
        "sales: GET /me",
        "sales: socket",
        "sales/crm",
    ]
    assert [[component, "no"] for component in components] == [row[:2] for row in said.rows[-7:]]
    assert (1, f"relay: --connect: failed: {', '.join(components)}; expected all to hold\n") == (
        said.code,
        said.err,
    )
    probes = stage.relay("check", "--connect", "--json").document["probes"]
    assert components == [probe["component"] for probe in probes]
    assert not any(probe["ok"] for probe in probes)


def test_a_table_on_a_terminal(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person gets a table."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    said = stage.relay("check")
    assert "setting" in said.out.splitlines()[0]
    assert "\t" not in said.out
