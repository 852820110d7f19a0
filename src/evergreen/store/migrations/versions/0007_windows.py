"""What monitoring saw in the traffic, window by window, and what it asked for: written once and never changed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add a table; nothing that is there changes."""
    op.create_table(
        "windows",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        *(sa.Column(name, _MOMENT, nullable=False) for name in ("since", "until", "looked_at")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("rows", "late")),
        sa.Column("verdict", sa.Text, nullable=False),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("reasons", "signals")),
        sa.Column("event", sa.Text, nullable=False),
        *(sa.Column(name, _MOMENT) for name in ("settled", "late_since")),
        sqlite_autoincrement=True,
    )
    op.create_index("windows_by_model", "windows", ["model", "since"], unique=True)
    op.create_index("windows_by_verdict", "windows", ["model", "verdict", "looked_at"])
    if op.get_bind().dialect.name == "sqlite":
        _forbid_changes_on_sqlite()
    else:
        _forbid_changes_on_postgresql()


def downgrade() -> None:
    """There is no way back that keeps what was seen since."""
    raise NotImplementedError("a store is not brought back to 0006: restore a backup from before the upgrade")


def _forbid_changes_on_sqlite() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'windows is append-only'); END"
    for change in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER windows_no_{change.lower()} BEFORE {change} ON windows {refuse}")
    # OR REPLACE would delete what is there; what two write at once is refused by the index, in words of its own.
    exists = "WHEN EXISTS (SELECT 1 FROM windows WHERE id = NEW.id)"
    op.execute(f"CREATE TRIGGER windows_no_replace BEFORE INSERT ON windows {exists} {refuse}")


def _forbid_changes_on_postgresql() -> None:
    refuse = "EXECUTE FUNCTION evergreen_append_only()"
    op.execute(f"CREATE TRIGGER windows_no_change BEFORE UPDATE OR DELETE ON windows FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER windows_no_truncate BEFORE TRUNCATE ON windows FOR EACH STATEMENT {refuse}")
