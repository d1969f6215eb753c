"""The relay takes what the chart gives it: settings, secrets, time to stop."""

from pathlib import Path

import pytest

from relay.config import Settings
from relay.model.times import parse_duration
from tests.deploy.kubernetes_chart import EXAMPLES, example, of_kind, template_with
from tests.deploy.kubernetes_pods import container, load, pod_spec, variables, written_settings
from tests.deploy.kubernetes_pods import settings_text as text_of
from tests.deploy.kubernetes_tools import tool

_GRACE_BEYOND_DRAIN = 35
"""Seconds: the relay's stop is bound by drain_timeout + 25 s, and ten for the machine."""


@pytest.fixture(scope="module")
def helm() -> Path:
    return tool("helm")


def _relays(helm: Path, path: Path, root: Path) -> list[Settings]:
    """Read the settings of each group of an example."""
    things = example(helm, path)
    return [
        load(found, things, root / str(position))
        for position, found in enumerate(of_kind(things, "StatefulSet"))
    ]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_relay_takes_the_settings_of_every_example(
    helm: Path, path: Path, tmp_path: Path
) -> None:
    """With what the pod mounts, the relay's own loader finds no mistake, and the port is right."""
    for settings in _relays(helm, path, tmp_path):
        assert settings.bots
        assert 8080 == settings.listen.port
        assert all(endpoint.signer for bot in settings.bots for endpoint in bot.endpoints) or (
            path.stem == "several-bots"
        )
        file = settings.journal_file
        assert (file is None) is (path.stem == "memory-journal")
        assert file is None or file.parts[-4:] == ("var", "lib", "relay", "journal.db")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_variables_and_file_agree(helm: Path, path: Path) -> None:
    """What is said twice, so that no default of the image wins, is said in the same words."""
    things = example(helm, path)
    for found in of_kind(things, "StatefulSet"):
        written = written_settings(text_of(found, things))
        environ = variables(found)
        assert written["listen"] == environ["RELAY_LISTEN"]
        assert written["journal"] == environ["RELAY_JOURNAL"]


def test_several_bots_are_as_written(helm: Path, tmp_path: Path) -> None:
    """Bots, endpoints and secrets arrive where the values put them."""
    path = next(path for path in EXAMPLES if path.stem == "several-bots")
    (settings,) = _relays(helm, path, tmp_path)
    support, sales = settings.bots
    assert ["crm", "archive"] == [endpoint.name for endpoint in support.endpoints]
    assert support.endpoints[1].required is False
    assert sales.endpoints[0].bearer_token is not None
    assert ("PLAIN_TEXT", "ENCRYPTED_TEXT", "SYSTEM_*") == sales.endpoints[0].categories


def test_the_admin_api_is_on_only_with_a_token(helm: Path, tmp_path: Path) -> None:
    """The token comes from a file, and without one the API stays off."""
    with_token = {path.stem for path in EXAMPLES if _relays(helm, path, tmp_path)[0].admin_token}
    assert {"admin-api", "external-secrets"} == with_token


def test_the_journal_key_is_a_file(helm: Path) -> None:
    """The relay is told where the key is, and the Secret's key is mounted there."""
    path = next(path for path in EXAMPLES if path.stem == "encrypted-journal")
    (found,) = of_kind(example(helm, path), "StatefulSet")
    (volume,) = (volume for volume in pod_spec(found)["volumes"] if volume["name"] == "secrets")
    assert "/run/secrets/relay/journal-key" == variables(found)["RELAY_JOURNAL_KEY_FILE"]
    assert {"name": "support-journal", "items": [{"key": "key", "path": "journal-key"}]} in [
        source["secret"] for source in volume["projected"]["sources"]
    ]


def test_bodies_are_sealed_only_with_a_key(helm: Path, tmp_path: Path) -> None:
    """The journal's keys come from a file, and without one bodies lie as they are."""
    sealed = {path.stem for path in EXAMPLES if _relays(helm, path, tmp_path)[0].journal_keys}
    assert {"encrypted-journal"} == sealed


@pytest.mark.parametrize(
    ("drain", "expected"),
    [
        ("0s", 35),
        ("1ms", 36),
        ("500ms", 36),
        ("1000ms", 36),
        ("1001ms", 37),
        ("5s", 40),
        ("25s", 60),
        ("90s", 125),
        ("2m", 155),
        ("3m", 215),
        ("1h", 3635),
        ("24h", 86_435),
        ("1d", 86_435),
        ("9999999ms", 10_035),
    ],
)
def test_the_grace_period_follows_the_drain(helm: Path, drain: str, expected: int) -> None:
    """The pod is granted drain_timeout and 35 s, rounded up, whatever the unit."""
    (found,) = of_kind(template_with(helm, {"settings": {"drain_timeout": drain}}), "StatefulSet")
    grace = pod_spec(found)["terminationGracePeriodSeconds"]
    assert expected == grace
    assert parse_duration(drain) + _GRACE_BEYOND_DRAIN <= grace


def test_each_group_has_its_own_grace(helm: Path) -> None:
    """A group that drains longer is waited for longer."""
    path = next(path for path in EXAMPLES if path.stem == "bot-groups")
    sets = of_kind(example(helm, path), "StatefulSet")
    graces = {
        found["metadata"]["name"]: pod_spec(found)["terminationGracePeriodSeconds"]
        for found in sets
    }
    assert {"shop-blaze-relay-sales": 95, "shop-blaze-relay-support": 60} == graces


def test_the_container_runs_the_relay(helm: Path) -> None:
    """The image's entrypoint is `relay`; the chart says only what it is to do."""
    for path in EXAMPLES:
        for found in of_kind(example(helm, path), "StatefulSet"):
            assert ["run"] == container(found)["args"]
            assert "command" not in container(found)
