"""The tables of the store, as queries see them; the migrations build them and make them immutable."""

import sqlalchemy as sa

from evergreen.store.moments import Micros, UtcDateTime

HEAD = "0008"
"""The newest migration: a store at it needs none."""

VERSION_TABLE = "evergreen_migrations"
"""Not Alembic's own name, so that the store can share a database with MLflow, which migrates with Alembic too."""

metadata = sa.MetaData()


def _chain() -> sa.Column[str]:
    """What holds a row to the one before it; see evergreen.store.chain."""
    return sa.Column("chain", sa.Text, nullable=False, server_default="")


decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("reasons", sa.JSON, nullable=False),
    sa.Column("checks", sa.JSON, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("as_of", UtcDateTime, nullable=False),
    sa.Column("decided_at", UtcDateTime, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("training_key", sa.Text),
    sa.Column("snapshot", sa.Text),
    sa.Column("spec_digest", sa.Text),
    sa.Column("code", sa.Text),
    sa.Column("mlflow_run", sa.Text),
    sa.Column("flow_run", sa.Text),
    sa.Column("version", sa.Integer),
    sa.Column("champion_before", sa.Integer),
    sa.Column("champion_after", sa.Integer),
    sa.Column("model_digest", sa.Text),
    sa.Column("cause", sa.Text, nullable=False, server_default="run"),
    sa.Column("resolves", sa.Integer, sa.ForeignKey("decisions.id")),
    _chain(),
    sa.Column("fence", sa.Integer),
    sa.Column("intention", sa.Integer, sa.ForeignKey("intentions.id")),
    sa.Index("decisions_by_model", "model", "id"),
    sa.Index("decisions_by_training_key", "model", "training_key"),
    sa.Index("decisions_by_resolved", "resolves", unique=True),
    sqlite_autoincrement=True,
)

champions = sa.Table(
    "champions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("decision_id", sa.Integer, sa.ForeignKey("decisions.id"), nullable=False, unique=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    _chain(),
    sa.Index("champions_by_model", "model", "at"),
    sqlite_autoincrement=True,
)

intentions = sa.Table(
    "intentions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("training_key", sa.Text, nullable=False),
    sa.Column("mlflow_run", sa.Text, nullable=False),
    sa.Column("model_digest", sa.Text, nullable=False),
    sa.Column("champion_before", sa.Integer),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Index("intentions_by_model", "model", "training_key"),
    sqlite_autoincrement=True,
)

pins = sa.Table(
    "pins",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Column("done_by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    _chain(),
    sa.Index("pins_by_model", "model", "id"),
    sqlite_autoincrement=True,
)

canaries = sa.Table(
    "canaries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("decision_id", sa.Integer, sa.ForeignKey("decisions.id"), nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("rules", sa.JSON(none_as_null=True)),
    sa.Column("outcome", sa.Text),
    sa.Column("why", sa.Text),
    _chain(),
    sa.Index("canaries_by_model", "model", "id"),
    sa.Index("canaries_by_event", "decision_id", "event", unique=True),
    sqlite_autoincrement=True,
)

canary_totals = sa.Table(
    "canary_totals",
    metadata,
    sa.Column("decision_id", sa.Integer, sa.ForeignKey("decisions.id"), primary_key=True),
    sa.Column("arm", sa.Text, primary_key=True),
    sa.Column("process", sa.Text, primary_key=True),
    sa.Column("totals", sa.JSON, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

pruned = sa.Table(
    "pruned",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger),
    sa.Column("done_by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    _chain(),
    sa.Index("pruned_by_name", "model", "kind", "name"),
    sqlite_autoincrement=True,
)

# What monitoring saw: immutable, but outside of the chains, which whoever audits reads from end to end.
windows = sa.Table(
    "windows",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("looked_at", UtcDateTime, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("late", sa.Integer, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("reasons", sa.JSON, nullable=False),
    sa.Column("signals", sa.JSON, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("settled", UtcDateTime),
    sa.Column("late_since", UtcDateTime),
    sa.Index("windows_by_model", "model", "since", unique=True),
    sa.Index("windows_by_verdict", "model", "verdict", "looked_at"),
    sqlite_autoincrement=True,
)

chain_heads = sa.Table(
    "chain_heads",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("last_id", sa.Integer, nullable=False),
    sa.Column("chain", sa.Text, nullable=False),
)

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Index("facts_by_model", "model", "kind", "at"),
    sa.Index("facts_by_time", "at"),
    sqlite_autoincrement=True,
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("fact_id", sa.Integer, sa.ForeignKey("facts.id"), primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("until", UtcDateTime),
    sa.Column("claimant", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("problem", sa.Text),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("session", sa.Integer, nullable=False),
)

# What serving answered, a group of rows at a time; see evergreen.store.traffic_group for `content`.
traffic = sa.Table(
    "traffic",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("first_at", Micros, nullable=False),
    sa.Column("last_at", Micros, nullable=False),
    sa.Column("written_at", Micros, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Index("traffic_by_time", "model", "first_at"),
)

# What serving counted of requests, also of those that got no answer: a minute of a process is a row.
asked = sa.Table(
    "asked",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("at", Micros, primary_key=True, autoincrement=False),
    sa.Column("process", sa.Text, primary_key=True),
    sa.Column("answered", sa.Integer, nullable=False),
    sa.Column("refused", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("broken", sa.JSON, nullable=False),
)

# Where each of those rows is, and what names it.
predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("traffic", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("at", Micros, nullable=False),
    sa.Column("row_id", sa.Text),
    sa.Column("request", sa.Text),
    sa.Index("predictions_by_id", "id"),
    sa.Index(
        "predictions_by_row",
        "model",
        "row_id",
        "at",
        sqlite_where=sa.text("row_id IS NOT NULL"),
        postgresql_where=sa.text("row_id IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

ground_truth = sa.Table(
    "ground_truth",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("prediction_id", sa.Text),
    sa.Column("row_id", sa.Text),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("at", Micros, nullable=False),
    sa.Column("received_at", Micros, nullable=False),
    sa.Column("extra", sa.Text),
    sa.Index("ground_truth_by_prediction", "prediction_id"),
    sa.Index("ground_truth_by_row", "model", "row_id"),
    sa.Index("ground_truth_by_time", "model", "received_at"),
)
