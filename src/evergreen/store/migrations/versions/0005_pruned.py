"""What was pruned, by whom and when: chained, so that nobody can pass off as pruned what was lost."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and its chain; nothing that is there changes."""
    op.create_table(
        "pruned",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "model", "name", "why")),
        sa.Column("size", sa.BigInteger),
        sa.Column("done_by", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chain", sa.Text, nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )
    op.create_index("pruned_by_name", "pruned", ["model", "kind", "name"])
    op.execute("INSERT INTO chain_heads (name, last_id, chain) VALUES ('pruned', 0, '')")
    if op.get_bind().dialect.name == "sqlite":
        _forbid_changes_on_sqlite()
    else:
        _forbid_changes_on_postgresql()


def downgrade() -> None:
    """There is no way back that keeps what was pruned since."""
    raise NotImplementedError("a ledger is not brought back to 0004: restore a backup from before the upgrade")


def _forbid_changes_on_sqlite() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'pruned is append-only'); END"
    for change in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER pruned_no_{change.lower()} BEFORE {change} ON pruned {refuse}")
    exists = "WHEN EXISTS (SELECT 1 FROM pruned WHERE id = NEW.id)"
    op.execute(f"CREATE TRIGGER pruned_no_replace BEFORE INSERT ON pruned {exists} {refuse}")
    unchained = "BEGIN SELECT RAISE(ABORT, 'pruned takes chained rows only: use the newest Evergreen'); END"
    op.execute(f"CREATE TRIGGER pruned_chained BEFORE INSERT ON pruned WHEN NEW.chain = '' {unchained}")


def _forbid_changes_on_postgresql() -> None:
    refuse, chained = "EXECUTE FUNCTION evergreen_append_only()", "EXECUTE FUNCTION evergreen_chained_only()"
    op.execute(f"CREATE TRIGGER pruned_no_change BEFORE UPDATE OR DELETE ON pruned FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER pruned_no_truncate BEFORE TRUNCATE ON pruned FOR EACH STATEMENT {refuse}")
    op.execute(f"CREATE TRIGGER pruned_chained BEFORE INSERT ON pruned FOR EACH ROW WHEN (NEW.chain = '') {chained}")
