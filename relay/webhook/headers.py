"""Which headers of a request are the relay's own: not to be configured. Pure."""

_PREFIXES = ("webhook-", "relay-", "proxy-")
_NAMES = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def is_own(name: str) -> bool:
    """Say whether the relay or HTTP itself sets the header; a second one would be ambiguous."""
    return name.lower() in _NAMES or name.lower().startswith(_PREFIXES)
