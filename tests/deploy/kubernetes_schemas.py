"""Whether Kubernetes would take an object: its own schemas, and those of the operators' kinds.

The kinds of operators are cut down to the fields that we write, after the definitions that
external-secrets and prometheus-operator publish (config/crds, example/prometheus-operator-crd).
"""

from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator

Schema = dict[str, Any]
Object = dict[str, Any]

VERSIONS = ("1.27", "1.37")
"""The oldest that Chart.yaml admits, and the newest whose schemas there are."""

_TEXT: Schema = {"type": "string", "minLength": 1}
_NAME: Schema = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"}
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_PERIOD: Schema = {
    "type": "string",
    "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?"
    "(([0-9]+)ms)?)$",
}


def _closed(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}


def _resource(api_version: str, kind: str, spec: Schema) -> Schema:
    metadata = _closed(("name",), name=_NAME, namespace=_NAME, labels=_TEXTS, annotations=_TEXTS)
    return _closed(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion={"const": api_version},
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )


_EXTERNAL_SECRET = _resource(
    "external-secrets.io/v1",
    "ExternalSecret",
    _closed(
        ("secretStoreRef", "target", "data"),
        refreshInterval={"type": "string", "pattern": "^([0-9]+(s|m|h))+$"},
        secretStoreRef=_closed(
            ("name", "kind"), name=_NAME, kind={"enum": ["SecretStore", "ClusterSecretStore"]}
        ),
        target=_closed(
            ("name",),
            name=_NAME,
            creationPolicy={"enum": ["Owner", "Orphan", "Merge", "None", "CreateOrMerge"]},
            deletionPolicy={"enum": ["Delete", "Merge", "Retain"]},
        ),
        data=_list(
            _closed(
                ("secretKey", "remoteRef"),
                secretKey={"type": "string", "pattern": "^[-._a-zA-Z0-9]{1,253}$"},
                remoteRef=_closed(
                    ("key",),
                    key=_TEXT,
                    property=_TEXT,
                    version=_TEXT,
                    decodingStrategy={"enum": ["Auto", "Base64", "Base64URL", "None"]},
                ),
            )
        ),
    ),
)

_RELABELING = _closed(
    (),
    action=_TEXT,
    modulus={"type": "integer"},
    regex=_TEXT,
    replacement={"type": "string"},
    separator={"type": "string"},
    sourceLabels=_list(_TEXT),
    targetLabel=_TEXT,
)

_SERVICE_MONITOR = _resource(
    "monitoring.coreos.com/v1",
    "ServiceMonitor",
    _closed(
        ("selector", "endpoints"),
        jobLabel=_TEXT,
        selector=_closed((), matchLabels=_TEXTS),
        endpoints=_list(
            _closed(
                ("port",),
                port=_TEXT,
                path=_TEXT,
                interval=_PERIOD,
                scrapeTimeout=_PERIOD,
                relabelings=_list(_RELABELING),
                metricRelabelings=_list(_RELABELING),
            )
        ),
    ),
)

_RULE = _closed(
    ("expr",),
    alert=_TEXT,
    record=_TEXT,
    expr={"type": ["string", "integer"]},
    **{"for": _PERIOD, "keep_firing_for": _PERIOD},
    labels=_TEXTS,
    annotations=_TEXTS,
)

_PROMETHEUS_RULE = _resource(
    "monitoring.coreos.com/v1",
    "PrometheusRule",
    _closed(
        ("groups",),
        groups=_list(
            _closed(
                ("name", "rules"),
                name=_TEXT,
                interval=_PERIOD,
                limit={"type": "integer"},
                labels=_TEXTS,
                rules=_list(_RULE),
            )
        ),
    ),
)

CUSTOM: dict[str, Schema] = {
    "ExternalSecret": _EXTERNAL_SECRET,
    "ServiceMonitor": _SERVICE_MONITOR,
    "PrometheusRule": _PROMETHEUS_RULE,
}


def refusals(thing: Object) -> list[str]:
    """Say what each version of Kubernetes would refuse an object for; nothing if it takes it."""
    if thing["kind"] in CUSTOM:
        errors = Draft202012Validator(CUSTOM[thing["kind"]]).iter_errors(thing)
        return [f"{error.json_path}: {error.message}" for error in errors]
    return [why for version in VERSIONS for why in _refused_by(version, thing)]


def _refused_by(version: str, thing: Object) -> list[str]:
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{version}: {error.json_path}: {error.message}"]
    return []
