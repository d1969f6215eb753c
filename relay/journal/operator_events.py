"""What operators did, written down for a running relay to follow and to log."""

from relay.journal.statements import Connection
from relay.model.journal import AuditEntry, OperatorEvent, OperatorEventKind
from relay.model.messages import EndpointKey

KEPT = 1000
"""So many are kept, the last: a running relay follows each within seconds."""

AT_ONCE = 1000

_WRITE = """
  INSERT INTO notices (kind, bot, endpoint, count, actor, asked, acted)
  VALUES (:kind, :bot, :endpoint, :count, :actor, :target, :acted)
"""
_READ = """
  SELECT id, kind, bot, endpoint, count AS many, actor, asked, acted FROM notices
  WHERE id > :after ORDER BY id LIMIT :limit
"""
_FORGET = "DELETE FROM notices WHERE id <= (SELECT max(id) FROM notices) - :kept"


def write(
    connection: Connection,
    kind: OperatorEventKind,
    endpoint: EndpointKey,
    audit: AuditEntry,
    count: int = 0,
) -> None:
    """Write one down."""
    connection.run(
        _WRITE,
        kind=kind.value,
        bot=endpoint.bot,
        endpoint=endpoint.name,
        count=count,
        actor=audit.actor,
        target=audit.target,
        acted=audit.count,
    )


def read(connection: Connection, after: int) -> list[OperatorEvent]:
    """Read those with an id above `after`, ascending."""
    return [
        OperatorEvent(
            row.id,
            OperatorEventKind(row.kind),
            EndpointKey(row.bot, row.endpoint),
            row.many,
            AuditEntry(row.actor or "", row.asked or "", row.acted or 0),
        )
        for row in connection.rows(_READ, after=after, limit=AT_ONCE)
    ]


def forget_old(connection: Connection) -> None:
    """Keep only the last."""
    connection.run(_FORGET, kept=KEPT)
