"""What serving counted of requests, also of those that got no answer: deleted by age, as traffic is."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table; nothing that is there changes."""
    op.create_table(
        "asked",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("process", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("answered", "refused", "failed")),
        sa.Column("broken", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """There is no way back that keeps what was counted since."""
    raise NotImplementedError("a store is not brought back to 0007: restore a backup from before the upgrade")
