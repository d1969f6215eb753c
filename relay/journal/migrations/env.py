"""Runs the migrations on the connection that `relay.journal.versions` has opened."""

from alembic import context

from relay.journal.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table only by making it anew
)
context.run_migrations()
