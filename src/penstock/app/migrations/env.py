"""How Alembic runs the steps: on the connection that `app.migrate` opened, inside its transaction."""

from alembic import context

from penstock.app.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by making it anew
    transactional_ddl=False,  # the transaction around all steps is `app.migrate`'s
)
context.run_migrations()
