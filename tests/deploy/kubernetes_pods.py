"""What a relay finds in its pod: the files that volumes bring, its variables, its settings."""

import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import trustme
import yaml

from relay.config import Settings, load_settings
from relay.journal.encryption.keys import KEY_BYTES, new_key
from tests.deploy.kubernetes_schemas import Object

_SEED = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
_SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_PLAIN_SECRET = "correct-horse-battery-staple"

WHOLE: dict[str, tuple[str, ...]] = {
    "support": ("keystore.json", "webhook-secret"),
    "company-ca": ("ca.crt", "bundle.crt"),
}
"""The keys of what the examples mount whole."""


def pod_spec(stateful_set: Object) -> dict[str, Any]:
    """Give the pod's spec."""
    spec: dict[str, Any] = stateful_set["spec"]["template"]["spec"]
    return spec


def container(stateful_set: Object) -> dict[str, Any]:
    """Give the only container."""
    (only,) = pod_spec(stateful_set)["containers"]
    found: dict[str, Any] = only
    return found


def variables(stateful_set: Object) -> dict[str, str]:
    """Give the container's variables; what comes from a Secret is made up."""
    return {
        entry["name"]: entry.get("value", _PLAIN_SECRET) for entry in container(stateful_set)["env"]
    }


def settings_text(stateful_set: Object, things: list[Object]) -> str:
    """Give the settings file that the pod mounts."""
    (volume,) = (v for v in pod_spec(stateful_set)["volumes"] if v["name"] == "settings")
    name = volume["configMap"]["name"]
    (text,) = (
        thing["data"]["relay.yaml"]
        for thing in things
        if thing["kind"] == "ConfigMap" and thing["metadata"]["name"] == name
    )
    return str(text)


def load(stateful_set: Object, things: list[Object], root: Path) -> Settings:
    """Read the settings as the relay in the pod would, with the pod's files below `root`.

    Raises `SettingsError`.
    """
    texts = {"/etc/relay/relay.yaml": settings_text(stateful_set, things)}
    texts.update(mounted(stateful_set))
    folders = {mount["mountPath"] for mount in container(stateful_set)["volumeMounts"]}
    for path, text in texts.items():
        file = root / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_moved(text, folders, root), encoding="utf-8")
    environ = {name: _moved(text, folders, root) for name, text in variables(stateful_set).items()}
    return load_settings(None, environ)


def mounted(stateful_set: Object) -> dict[str, str]:
    """Give the files that Secrets and foreign ConfigMaps bring, by their paths in the container."""
    volumes = {volume["name"]: volume for volume in pod_spec(stateful_set)["volumes"]}
    files: dict[str, str] = {}
    for mount in container(stateful_set)["volumeMounts"]:
        volume = volumes.get(mount["name"], {})
        for name, key, path in _keys(volume):
            files[f"{mount['mountPath']}/{path}"] = _content(name, key)
    return files


def _keys(volume: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Give the object, the key and the file's name for each file of a volume."""
    sources = [source["secret"] for source in volume.get("projected", {}).get("sources", [])]
    if "configMap" in volume and volume["name"] != "settings":
        sources.append(volume["configMap"])
    for source in sources:
        whole = [{"key": key, "path": key} for key in WHOLE.get(source["name"], ())]
        for item in source.get("items", whole):
            yield source["name"], item["key"], item["path"]


def _content(name: str, key: str) -> str:
    """Make up what an object would have under a key, by what the key is called."""
    if key.startswith("keystore") or key.endswith(".json"):
        return _keystore(name)
    return next((text for form, text in _CONTENTS if fnmatch(key, form)), _SIGNING_SECRET)


def _keystore(name: str) -> str:
    keystore = {
        "app_id": str(uuid5(NAMESPACE_DNS, name)),
        "session_id": str(uuid5(NAMESPACE_DNS, f"session of {name}")),
        "server_public_key": "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7",
        "session_private_key": _SEED,
    }
    return json.dumps(keystore)


def _moved(text: str, folders: set[str], root: Path) -> str:
    """Write the pod's paths as those below `root`."""
    for folder in folders:
        text = text.replace(f"{folder}/", f"{root}{folder}/")
    return text


def written_settings(text: str) -> dict[str, Any]:
    """Read a settings file as YAML."""
    tree: dict[str, Any] = yaml.safe_load(text)
    return tree


_AUTHORITY = trustme.CA(key_type=trustme.KeyType.ECDSA)
_CERTIFICATE = _AUTHORITY.issue_cert("relay.example.com", key_type=trustme.KeyType.ECDSA)

_CONTENTS = (
    ("tls.key", _CERTIFICATE.private_key_pem.bytes().decode()),
    ("tls.crt", "".join(pem.bytes().decode() for pem in _CERTIFICATE.cert_chain_pems)),
    ("*.crt", _AUTHORITY.cert_pem.bytes().decode()),
    ("*key", new_key(b"k" * KEY_BYTES)),
    ("*token", _PLAIN_SECRET),
    ("*bearer", _PLAIN_SECRET),
)
