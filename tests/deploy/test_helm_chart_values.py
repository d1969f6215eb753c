"""What the chart refuses, and what it says then: never a secret, always where and what instead."""

import re
from pathlib import Path
from typing import Any

import pytest

from relay.config.load import VARIABLES
from tests.deploy.kubernetes_chart import CHART, HelmRefusedError, refusal, template_with
from tests.deploy.kubernetes_tools import tool

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_BOT: dict[str, Any] = {
    "name": "support",
    "keystore_file": "/run/secrets/relay/support.json",
    "endpoints": [{"name": "crm", "url": "https://crm.example.com/hooks"}],
}
_FILES = {"files": [{"secretName": "support", "items": [{"key": "k", "path": "support.json"}]}]}


@pytest.fixture(scope="module")
def helm() -> Path:
    return tool("helm")


def _bots(**endpoint: object) -> dict[str, Any]:
    """Give values with one bot whose endpoint is changed."""
    bot = {**_BOT, "endpoints": [{**_BOT["endpoints"][0], **endpoint}]}
    return {
        "webhookUrls": [],
        "secrets": {"keystore": {"secretName": ""}, **_FILES},
        "settings": {"bots": [bot]},
    }


_REFUSED_BY_SCHEMA: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown value": ({"replicaCount": 2}, "'replicaCount'", "not allowed"),
    "an unknown value of a group": ({"groups": {"a": {"image2": {}}}}, "/groups/a", "'image2'"),
    "a group's name": ({"groups": {"Sales_1": {}}}, "/groups", "Sales_1"),
    "root": ({"podSecurityContext": {"runAsUser": 0}}, "/podSecurityContext/runAsUser", "want 1"),
    "a size as a number": ({"persistence": {"size": 10}}, "/persistence/size", "want string"),
    "two writers": (
        {"persistence": {"accessMode": "ReadWriteMany"}},
        "/persistence/accessMode",
        "ReadWriteOncePod",
    ),
    "a duration without a unit": (
        {"settings": {"drain_timeout": 25}},
        "/settings/drain_timeout",
        "want string",
    ),
    "a duration of two units": (
        {"settings": {"drain_timeout": "1h30m"}},
        "/settings/drain_timeout",
        "(ms|s|m|h|d)",
    ),
    "an unknown setting": ({"settings": {"log_levle": "info"}}, "/settings", "'log_levle'"),
    "a level that isn't one": ({"settings": {"log_level": "loud"}}, "log_level", "'warning'"),
    "another port": ({"settings": {"listen": "0.0.0.0:9090"}}, "/settings/listen", "8080"),
    "a journal beside the volume": (
        {"settings": {"journal": "sqlite:////data/journal.db"}},
        "/settings/journal",
        "/var/lib/relay/",
    ),
    "a signing secret": (_bots(secret=_SECRET), "/settings/bots/0/endpoints/0", "'secret'"),
    "a bearer token": (_bots(bearer_token=_SECRET), "endpoints/0", "'bearer_token'"),
    "a keystore": ({"secrets": {"keystore": _SECRET}}, "/secrets/keystore", "want object"),
    "an admin token": ({"settings": {"admin_token": _SECRET}}, "/settings", "'admin_token'"),
    "a Secret without a name": ({"secrets": {"files": [{}]}}, "/secrets/files/0", "secretName"),
    "a tag in the repository": (
        {"image": {"repository": "relay@sha256"}},
        "/image/repository",
        "pattern",
    ),
    "half a digest": ({"image": {"digest": "sha256:abc"}}, "/image/digest", "sha256"),
    "a budget of nothing": (
        {"podDisruptionBudget": {"maxUnavailable": 2}},
        "/podDisruptionBudget/maxUnavailable",
        "0, 1",
    ),
    "a relative path": (_bots(secret_file="crm"), "/secret_file", "pattern"),
    "a URL of nothing": ({"webhookUrls": ["crm.example.com"]}, "/webhookUrls/0", "https?"),
    "no settings at all": ({"settings": None}, "missing propert", "'settings'"),
    "no drain_timeout": ({"settings": {"drain_timeout": None}}, "/settings", "'drain_timeout'"),
    "a name with a dot": ({"fullnameOverride": "a.b"}, "/fullnameOverride", "pattern"),
    "text for a flag": ({"networkPolicy": {"enabled": "yes"}}, "/networkPolicy/enabled", "boolean"),
}

_REFUSED_TOGETHER: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to relay": (
        {"webhookUrls": []},
        "webhookUrls: missing; expected where one bot's messages go, or settings.bots",
    ),
    "no keystore": (
        {"secrets": {"keystore": {"secretName": ""}}},
        "secrets.keystore.secretName: missing; expected the Secret that holds the keystore",
    ),
    "both ways at once": (
        {"settings": {"bots": [_BOT]}, "secrets": _FILES},
        "webhookUrls: expected either these or settings.bots, not both",
    ),
    "the short way's secret": (
        {**_bots(), "secrets": {"keystore": {"secretName": "support"}, **_FILES}},
        "secrets.keystore: belongs to webhookUrls",
    ),
    "a group without bots": (
        {"groups": {"a": {}, "b": {"webhookUrls": []}}},
        "groups.b: webhookUrls: missing",
    ),
    "a file that nobody mounts": (
        _bots(secret_file="/run/secrets/relay/crm"),
        "/run/secrets/relay/crm is named, but no entry of secrets.files has the path crm",
    ),
    "two Secrets in one place": (
        {"secrets": {"files": [_FILES["files"][0], {**_FILES["files"][0], "secretName": "b"}]}},
        "secrets: two of them are mounted as support.json; expected a path for each",
    ),
    "one claim for two": (
        {"persistence": {"existingClaim": "journal"}, "groups": {"a": {}, "b": {}}},
        "persistence.existingClaim: journal is given to two groups",
    ),
    "a Service's name for a group": (
        {"groups": {"a-headless": {}}},
        "expected a name that doesn't end in -headless",
    ),
    "no store": (
        {"externalSecrets": {"enabled": True, "secrets": {"a": {"b": {"key": "c"}}}}},
        "externalSecrets.storeRef.name: missing",
    ),
    "no external secret": (
        {"externalSecrets": {"enabled": True, "storeRef": {"name": "vault"}}},
        "externalSecrets.secrets: missing",
    ),
    "a password in a URL": (
        {"webhookUrls": [f"https://relay:{_SECRET}@crm.example.com/"]},
        "webhookUrls[0]: a user or password in it; expected bearer_token_file",
    ),
    "a token in a header": (
        _bots(headers={"X-Api-Key": _SECRET.removeprefix("whsec_")}),
        "settings.bots[0].endpoints[0].headers.X-Api-Key: a secret; expected ${NAME}",
    ),
    "a signing secret among headers": (
        _bots(headers={"X-Tenant": _SECRET}),
        "settings: a key or a signing secret is written out",
    ),
    "a password among variables": (
        {"extraEnv": [{"name": "CRM_PASSWORD", "value": _SECRET}]},
        "extraEnv: CRM_PASSWORD: a secret; expected valueFrom with a secretKeyRef",
    ),
    "a signing secret among variables": (
        {"extraEnv": [{"name": "CRM", "value": _SECRET}]},
        "extraEnv: CRM: a key or a signing secret is written out",
    ),
    "a Secret among the objects": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}]},
        "extraObjects[0]: a Secret; expected none",
    ),
}


@pytest.mark.parametrize(
    ("values", "where", "why"), _REFUSED_BY_SCHEMA.values(), ids=_REFUSED_BY_SCHEMA.keys()
)
def test_the_schema_says_where_and_why(
    helm: Path, values: dict[str, Any], where: str, why: str
) -> None:
    """A wrong value is refused with its path and what is expected, and no secret is repeated."""
    said = refusal(helm, values)
    assert where in said
    assert why in said
    assert _SECRET not in said


@pytest.mark.parametrize(
    ("values", "expected"), _REFUSED_TOGETHER.values(), ids=_REFUSED_TOGETHER.keys()
)
def test_values_that_dont_go_together_are_refused(
    helm: Path, values: dict[str, Any], expected: str
) -> None:
    """What only several values together show is said in one line, and no secret is repeated."""
    said = refusal(helm, values)
    assert f"  {expected}" in said or f": {expected}" in said
    assert _SECRET.removeprefix("whsec_") not in said


def test_every_mistake_is_told_at_once(helm: Path) -> None:
    """Who writes values sees all that is wrong with them together."""
    values = {
        "webhookUrls": ["https://a@b.example.com"],
        "secrets": {"keystore": {"secretName": ""}},
    }
    assert ["secrets.keystore.secretName", "webhookUrls[0]"] == re.findall(
        r"^  (\S+): ", refusal(helm, values), re.MULTILINE
    )


@pytest.mark.parametrize("release", ["1st", "shop.eu"])
def test_a_release_whose_name_no_service_can_have_is_told_so(helm: Path, release: str) -> None:
    """Helm allows names that Services don't; with another full name they are fine."""
    with pytest.raises(HelmRefusedError, match="fullnameOverride: expected one"):
        template_with(helm, {}, release=release)
    assert template_with(helm, {"fullnameOverride": "shop"}, release=release)


@pytest.mark.parametrize("name", VARIABLES)
def test_variables_of_the_chart_are_not_overridden(helm: Path, name: str) -> None:
    """The relay's own variables have values of the chart, all but those for another Mixin."""
    said = refusal(helm, {"extraEnv": [{"name": name, "value": "x"}]})
    known = f"extraEnv: {name} has values of its own"
    assert (known in said) is (name not in {"RELAY_BLAZE_URL", "RELAY_API_URL"})


def test_the_schema_closes_every_mapping_of_its_own() -> None:
    """Wherever the schema names properties, others are refused: a slip never passes silently."""
    text = (CHART / "values.schema.json").read_text(encoding="utf-8")
    assert text.count('"additionalProperties": false') > 20
    assert '"additionalProperties": true' not in text
