"""How Alembic runs the store's migrations: on a connection that the caller opened, in one transaction."""

from alembic import context

from evergreen.store.tables import VERSION_TABLE, metadata


def migrate() -> None:
    """Run what Alembic asked for."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


# Alembic loads this file under the name of the file; to anybody else, doctest among them, importing it does nothing.
if __name__ == "env_py":
    migrate()
