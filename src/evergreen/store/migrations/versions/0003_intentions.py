"""What is intended before a version is registered, and which champion a decision was measured against.

`fence` is the id of the last row of `champions` at that time: a champion that left and came back has another one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and two columns; nothing that is there changes."""
    op.create_table(
        "intentions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("model", "training_key", "mlflow_run", "model_digest")),
        sa.Column("champion_before", sa.Integer),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("intentions_by_model", "intentions", ["model", "training_key"])
    op.execute("ALTER TABLE decisions ADD COLUMN fence INTEGER")
    op.execute("ALTER TABLE decisions ADD COLUMN intention INTEGER REFERENCES intentions (id)")
    _forbid_changes(op.get_bind().dialect.name)


def downgrade() -> None:
    """There is no way back that keeps what was decided since."""
    raise NotImplementedError("a ledger is not brought back to 0002: restore a backup from before the upgrade")


def _forbid_changes(dialect: str) -> None:
    if dialect == "sqlite":
        refuse = "BEGIN SELECT RAISE(ABORT, 'intentions is append-only'); END"
        op.execute(f"CREATE TRIGGER intentions_no_update BEFORE UPDATE ON intentions {refuse}")
        op.execute(f"CREATE TRIGGER intentions_no_delete BEFORE DELETE ON intentions {refuse}")
        exists = "WHEN EXISTS (SELECT 1 FROM intentions WHERE id = NEW.id)"
        op.execute(f"CREATE TRIGGER intentions_no_replace BEFORE INSERT ON intentions {exists} {refuse}")
        return
    refuse = "EXECUTE FUNCTION evergreen_append_only()"
    rows, statement = (
        "BEFORE UPDATE OR DELETE ON intentions FOR EACH ROW",
        "BEFORE TRUNCATE ON intentions FOR EACH STATEMENT",
    )
    op.execute(f"CREATE TRIGGER intentions_no_change {rows} {refuse}")
    op.execute(f"CREATE TRIGGER intentions_no_truncate {statement} {refuse}")
