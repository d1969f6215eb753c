"""The oldest delivery that an endpoint is owed is found at once, however many there are.

The index holds what is pending only: a second or two for a million.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OWED = sa.text("state = 'pending' AND replay IS NULL")


def upgrade() -> None:
    """Go to this version."""
    op.create_index(
        "deliveries_oldest",
        "deliveries",
        ["endpoint_id", "id"],
        unique=False,
        sqlite_where=_OWED,
        postgresql_where=_OWED,
    )


def downgrade() -> None:
    """Go back to the version before, which does without."""
    op.drop_index("deliveries_oldest", "deliveries")
