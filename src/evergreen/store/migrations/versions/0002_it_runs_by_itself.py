"""Causes and answers of decisions, a hash chain through them, facts to be told, pins and turns.

Rows that were there before are chained here, which the triggers forbid to everybody else: they are taken away and put
back inside the migration's one transaction.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from evergreen.store.chain import link

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CHAINED = ("decisions", "champions", "pins")
# What INSERT OR REPLACE would delete by: every unique column of a table, as SQLite fires no delete trigger for it.
_UNIQUE = {
    "decisions": ("id", "resolves"),
    "champions": ("id", "decision_id"),
    "pins": ("id",),
    "facts": ("id", "key"),
}
_MOMENTS = {"decisions": ("as_of", "decided_at"), "champions": ("at",), "pins": ("at",)}
_JSON = ("reasons", "checks")


def upgrade() -> None:
    """Widen the two tables, build the new ones, chain what is there."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    _allow_changes(("decisions", "champions"), sqlite)
    _widen()
    _create_pins()
    _create_outbox()
    _create_turns()
    for table in _CHAINED:
        _chain_rows(table)
    _forbid_changes(("decisions", "champions", "pins", "facts"), sqlite)
    _forbid_unchained(sqlite)


def downgrade() -> None:
    """There is no way back that keeps what was decided since."""
    raise NotImplementedError("a ledger is not brought back to 0001: restore a backup from before the upgrade")


def _widen() -> None:
    op.execute("ALTER TABLE decisions ADD COLUMN cause TEXT NOT NULL DEFAULT 'run'")
    op.execute("ALTER TABLE decisions ADD COLUMN resolves INTEGER REFERENCES decisions (id)")
    op.create_index("decisions_by_resolved", "decisions", ["resolves"], unique=True)
    for table in ("decisions", "champions"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN chain TEXT NOT NULL DEFAULT ''")


def _create_pins() -> None:
    op.create_table(
        "pins",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("done_by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chain", sa.Text, nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )
    op.create_index("pins_by_model", "pins", ["model", "id"])


def _create_outbox() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "facts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "model")),
        sa.Column("at", moment, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("facts_by_model", "facts", ["model", "kind", "at"])
    op.create_index("facts_by_time", "facts", ["at"])
    op.create_table(
        "deliveries",
        sa.Column("fact_id", sa.Integer, sa.ForeignKey("facts.id"), primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("until", moment),
        sa.Column("claimant", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("changed_at", moment, nullable=False),
    )


def _create_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("session", sa.Integer, nullable=False),
    )
    op.create_table(
        "chain_heads",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_id", sa.Integer, nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
    )


def _chain_rows(name: str) -> None:
    connection = op.get_bind()
    names = [column["name"] for column in sa.inspect(connection).get_columns(name)]
    table = sa.table(name, *(sa.column(column, _type(name, column)) for column in names))
    last_id, chain = 0, ""
    for row in connection.execute(sa.select(table).order_by(table.c.id)).mappings().all():
        last_id, chain = row["id"], link(chain, {column: _plain(value) for column, value in row.items()})
        connection.execute(sa.update(table).where(table.c.id == last_id).values(chain=chain))
    heads = sa.table("chain_heads", sa.column("name"), sa.column("last_id"), sa.column("chain"))
    connection.execute(sa.insert(heads).values(name=name, last_id=last_id, chain=chain))


def _type(table: str, column: str) -> Any:
    if column in _MOMENTS[table]:
        return sa.DateTime(timezone=True)
    return sa.JSON() if column in _JSON else None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return value


def _allow_changes(tables: tuple[str, ...], sqlite: bool) -> None:
    for table in tables:
        for rule in ("no_update", "no_delete", "no_replace") if sqlite else ("no_change", "no_truncate"):
            op.execute(f"DROP TRIGGER {table}_{rule}" if sqlite else f"DROP TRIGGER {table}_{rule} ON {table}")


def _forbid_changes(tables: tuple[str, ...], sqlite: bool) -> None:
    forbid = _forbid_changes_on_sqlite if sqlite else _forbid_changes_on_postgresql
    for table in tables:
        forbid(table)


def _forbid_changes_on_sqlite(table: str) -> None:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
    op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
    taken = " OR ".join(f"{column} = NEW.{column}" for column in _UNIQUE[table])
    exists = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken})"
    op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {exists} {refuse}")


def _forbid_changes_on_postgresql(table: str) -> None:
    refuse = "EXECUTE FUNCTION evergreen_append_only()"
    op.execute(f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}")
    op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}")


def _forbid_unchained(sqlite: bool) -> None:
    # A process of an older version that is still at work would write rows that no chain holds.
    if not sqlite:
        op.execute(
            "CREATE FUNCTION evergreen_chained_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% takes chained rows only: use the newest Evergreen', TG_TABLE_NAME; END $$"
        )
    for table in _CHAINED:
        trigger = f"CREATE TRIGGER {table}_chained BEFORE INSERT ON {table}"
        if sqlite:
            refuse = f"BEGIN SELECT RAISE(ABORT, '{table} takes chained rows only: use the newest Evergreen'); END"
            op.execute(f"{trigger} WHEN NEW.chain = '' {refuse}")
        else:
            op.execute(f"{trigger} FOR EACH ROW WHEN (NEW.chain = '') EXECUTE FUNCTION evergreen_chained_only()")
