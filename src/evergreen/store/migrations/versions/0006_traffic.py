"""What serving answered, in groups, where each row of them is, and what came true.

Nothing here is chained or append-only: traffic is evidence for a while, and is then deleted by age.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add three tables; nothing that is there changes."""
    op.create_table(
        "traffic",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("first_at", "last_at", "written_at")),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("traffic_by_time", "traffic", ["model", "first_at"])
    _create_predictions()
    op.create_table(
        "ground_truth",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prediction_id", sa.Text),
        sa.Column("row_id", sa.Text),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("extra", sa.Text),
    )
    op.create_index("ground_truth_by_prediction", "ground_truth", ["prediction_id"])
    op.create_index("ground_truth_by_row", "ground_truth", ["model", "row_id"])
    op.create_index("ground_truth_by_time", "ground_truth", ["model", "received_at"])


def downgrade() -> None:
    """There is no way back that keeps what was captured since."""
    raise NotImplementedError("a store is not brought back to 0005: restore a backup from before the upgrade")


def _create_predictions() -> None:
    op.create_table(
        "predictions",
        sa.Column("traffic", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("row_id", sa.Text),
        sa.Column("request", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("predictions_by_id", "predictions", ["id"])
    # Most callers name no rows: their predictions cost this index nothing.
    named = sa.text("row_id IS NOT NULL")
    op.create_index(
        "predictions_by_row", "predictions", ["model", "row_id", "at"], sqlite_where=named, postgresql_where=named
    )
