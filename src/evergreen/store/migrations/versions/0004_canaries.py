"""Canaries: the trial of a held challenger begins and ends, chained like decisions; and what was counted meanwhile.

Totals are no history: every serving process keeps one row an arm, and writes it anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add two tables and a chain; nothing that is there changes."""
    _create_canaries()
    op.create_index("canaries_by_model", "canaries", ["model", "id"])
    op.create_index("canaries_by_event", "canaries", ["decision_id", "event"], unique=True)
    op.create_table(
        "canary_totals",
        sa.Column("decision_id", sa.Integer, sa.ForeignKey("decisions.id"), primary_key=True),
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("arm", "process")),
        sa.Column("totals", sa.JSON, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.execute("INSERT INTO chain_heads (name, last_id, chain) VALUES ('canaries', 0, '')")
    if op.get_bind().dialect.name == "sqlite":
        _forbid_changes_on_sqlite()
    else:
        _forbid_changes_on_postgresql()


def downgrade() -> None:
    """There is no way back that keeps what was tried since."""
    raise NotImplementedError("a ledger is not brought back to 0003: restore a backup from before the upgrade")


def _create_canaries() -> None:
    op.create_table(
        "canaries",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("decision_id", sa.Integer, sa.ForeignKey("decisions.id"), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("event", "model")),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("rules", sa.JSON),
        *(sa.Column(name, sa.Text) for name in ("outcome", "why")),
        sa.Column("chain", sa.Text, nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )


def _forbid_changes_on_sqlite() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'canaries is append-only'); END"
    for change in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER canaries_no_{change.lower()} BEFORE {change} ON canaries {refuse}")
    taken = "id = NEW.id OR (decision_id = NEW.decision_id AND event = NEW.event)"
    exists = f"WHEN EXISTS (SELECT 1 FROM canaries WHERE {taken})"
    op.execute(f"CREATE TRIGGER canaries_no_replace BEFORE INSERT ON canaries {exists} {refuse}")
    unchained = "BEGIN SELECT RAISE(ABORT, 'canaries takes chained rows only: use the newest Evergreen'); END"
    op.execute(f"CREATE TRIGGER canaries_chained BEFORE INSERT ON canaries WHEN NEW.chain = '' {unchained}")


def _forbid_changes_on_postgresql() -> None:
    refuse, chained = "EXECUTE FUNCTION evergreen_append_only()", "EXECUTE FUNCTION evergreen_chained_only()"
    rows, statement = "BEFORE UPDATE OR DELETE ON canaries FOR EACH ROW", "BEFORE TRUNCATE ON canaries"
    op.execute(f"CREATE TRIGGER canaries_no_change {rows} {refuse}")
    op.execute(f"CREATE TRIGGER canaries_no_truncate {statement} FOR EACH STATEMENT {refuse}")
    unchained = "BEFORE INSERT ON canaries FOR EACH ROW WHEN (NEW.chain = '')"
    op.execute(f"CREATE TRIGGER canaries_chained {unchained} {chained}")
