"""The ledger: decisions and the champions that came of them, append-only.

Columns are spelled out here and not taken from evergreen.store.tables: a migration must build tomorrow what it
builds today.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("decisions", "champions")


def upgrade() -> None:
    """Create both tables and the triggers that refuse every change to their rows."""
    _create_decisions()
    _create_champions()
    forbid = {"sqlite": _forbid_changes_on_sqlite, "postgresql": _forbid_changes_on_postgresql}
    forbid[op.get_bind().dialect.name]()


def downgrade() -> None:
    """Remove them, with every row."""
    op.drop_table("champions")
    op.drop_table("decisions")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION evergreen_append_only()")


def _create_decisions() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("checks", sa.JSON, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("as_of", moment, nullable=False),
        sa.Column("decided_at", moment, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("training_key", "snapshot", "spec_digest", "code")),
        *(sa.Column(name, sa.Text) for name in ("mlflow_run", "flow_run")),
        *(sa.Column(name, sa.Integer) for name in ("version", "champion_before", "champion_after")),
        sa.Column("model_digest", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("decisions_by_model", "decisions", ["model", "id"])
    op.create_index("decisions_by_training_key", "decisions", ["model", "training_key"])


def _create_champions() -> None:
    op.create_table(
        "champions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("decision_id", sa.Integer, sa.ForeignKey("decisions.id"), nullable=False, unique=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("champions_by_model", "champions", ["model", "at"])


def _forbid_changes_on_sqlite() -> None:
    # INSERT OR REPLACE deletes the old row without firing a delete trigger, so it has a trigger of its own.
    for table in _APPEND_ONLY:
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
        taken = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"
        op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {taken} {refuse}")


def _forbid_changes_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION evergreen_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in _APPEND_ONLY:
        refuse = "EXECUTE FUNCTION evergreen_append_only()"
        op.execute(f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")
