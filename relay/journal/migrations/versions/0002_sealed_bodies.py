"""Rows say by which key what people wrote in them is sealed.

Columns are only added: that takes no time, however large the journal. The indexes hold sealed rows
only; making them reads the tables once.
"""

import sqlalchemy as sa
from alembic import op

from relay.journal.versions import WrongVersion

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SEALED = sa.text("sealed_by IS NOT NULL")
_TABLES = ("endpoints", "messages", "attempts", "unreadable")
_INDEXED = ("messages", "attempts", "unreadable")


def upgrade() -> None:
    """Go to this version."""
    for table in _TABLES:
        op.add_column(table, sa.Column("sealed_by", sa.String(), nullable=True))
    op.add_column("run", sa.Column("seals_with", sa.String(), nullable=True))
    for table in _INDEXED:
        op.create_index(
            f"{table}_sealed",
            table,
            ["sealed_by"],
            unique=False,
            sqlite_where=_SEALED,
            postgresql_where=_SEALED,
        )


def downgrade() -> None:
    """Go back to the version before, which knows nothing of seals."""
    for table in _TABLES:
        sealed = sa.select(sa.literal(1)).select_from(sa.table(table)).where(_SEALED).limit(1)
        if op.get_bind().scalar(sealed):
            raise WrongVersion("it has sealed rows; first: relay journal reseal --plain")
    for table in _INDEXED:
        op.drop_index(f"{table}_sealed", table)
    for table in _TABLES:
        op.drop_column(table, "sealed_by")
    op.drop_column("run", "seals_with")
