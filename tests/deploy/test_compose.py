"""The compose file and its settings, as far as they can be read without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import tests
from relay.config.load import VARIABLES
from relay.config.settings import Settings

ROOT = Path(tests.__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CLOSING = 25.0
"""Seconds after `drain_timeout` in which journal, receipts and socket are closed."""


def variables(path: str) -> set[str]:
    """Name the variables that a file sets, or offers behind a `#`."""
    return set(re.findall(r"(?m)^#?([A-Z_]+)=", (ROOT / path).read_text()))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_contained(name: str) -> None:
    """Read-only, without capabilities or new privileges, with limits on memory, processes, logs."""
    service = SERVICES[name]
    assert service["read_only"]
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert {"mem_limit", "pids_limit", "logging"} <= service.keys()
    assert "unless-stopped" == service["restart"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_open_to_the_network(name: str) -> None:
    """What is published is published on the loopback address, unless an operator says otherwise."""
    assert [] == [port for port in SERVICES[name].get("ports", ()) if "127.0.0.1:" not in port]


def test_a_stop_has_the_time_that_it_needs() -> None:
    """The grace is longer than all that a stop may take."""
    drain = Settings.declared()["drain_timeout"].default
    assert float(SERVICES["relay"]["stop_grace_period"].removesuffix("s")) > drain + CLOSING


@pytest.mark.parametrize("path", [".env.example", "deploy/container/demo.env"])
def test_every_variable_is_one(path: str) -> None:
    """What is offered is a setting of the relay, or stands in the compose file."""
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert set() == variables(path) - set(VARIABLES) - used


def test_the_demo_keeps_away_from_production() -> None:
    """It has a journal of its own: what is left in it must never reach a real webhook."""
    assert "RELAY_JOURNAL" in variables("deploy/container/demo.env")
    assert "RELAY_JOURNAL" not in variables(".env.example")
