"""Finished messages can be sent again.

Columns and a table are only added, which takes no time; the index holds replays only. Endpoints
that are there already are not new ones to whoever counts: their address is known to be unknown.
"""

import sqlalchemy as sa
from alembic import op

from relay.journal.versions import WrongVersion

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REPLAYED = sa.text("replay IS NOT NULL")


def upgrade() -> None:
    """Go to this version."""
    op.add_column("endpoints", sa.Column("address", sa.String(), nullable=True))
    op.execute("UPDATE endpoints SET address = ''")
    op.create_table(
        "replays",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=True),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("begin", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("upto", sa.Integer(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.add_column("deliveries", sa.Column("replay", sa.Integer(), nullable=True))
    op.create_index(
        "deliveries_replayed",
        "deliveries",
        ["replay", "state"],
        unique=False,
        sqlite_where=_REPLAYED,
        postgresql_where=_REPLAYED,
    )


def downgrade() -> None:
    """Go back to the version before, which would take a replay for what a message is owed."""
    unfinished = (
        "SELECT 1 FROM replays WHERE ended_at IS NULL"
        " UNION ALL SELECT 1 FROM deliveries WHERE replay IS NOT NULL"
        " AND state IN ('pending', 'dead') LIMIT 1"
    )
    if op.get_bind().scalar(sa.text(unfinished)):
        text = "it has unfinished replays, or dead letters of one; first: relay replays cancel,"
        raise WrongVersion(f"{text} relay dead-letters discard")
    of_replays = "SELECT id FROM deliveries WHERE replay IS NOT NULL"
    op.execute(f"DELETE FROM attempts WHERE delivery_id IN ({of_replays})")  # noqa: S608 - no input
    op.execute("DELETE FROM deliveries WHERE replay IS NOT NULL")
    op.drop_index("deliveries_replayed", "deliveries")
    op.drop_column("deliveries", "replay")
    op.drop_table("replays")
    op.drop_column("endpoints", "address")
