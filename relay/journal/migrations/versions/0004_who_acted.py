"""Notices say who did it, what was asked and to how many it was done.

Columns are only added, which takes no time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = (("actor", sa.String()), ("asked", sa.String()), ("acted", sa.Integer()))


def upgrade() -> None:
    """Go to this version."""
    for name, kind in _COLUMNS:
        op.add_column("notices", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Go back to the version before, which knows nothing of actors."""
    for name, _ in _COLUMNS:
        op.drop_column("notices", name)
