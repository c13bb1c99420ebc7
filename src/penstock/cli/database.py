"""The database that commands for operators look into: one that is there already.

They make none: in the wrong folder they would find an empty one, and say that all is well with it.
"""

from penstock.app import migrate
from penstock.app.databases import place_of
from penstock.app.folder import DataFolder
from penstock.kit.errors import Problem
from penstock.kit.postgres_connections import shown
from penstock.product.settings import Settings


def folder_of_database(settings: Settings) -> DataFolder:
    """Return the data folder of a database that has this version's shape.

    Errors: Problem `unavailable`, which says where it was looked for and what to do.
    """
    folder = DataFolder(settings.data_dir)
    found = migrate.revision_of(place_of(settings, folder))
    migrate.refuse_newer(found)
    where = folder.database.absolute() if settings.database_url is None else shown(settings.database_url)
    if found is None:
        advice = "Say where it is with --data or PENSTOCK_DATABASE_URL, or make a new one with `penstock migrate`."
        raise Problem("unavailable", f"There is no database of Penstock at {where}. {advice}")
    if found != migrate.newest():
        told = f"The database at {where} has the shape {found}, and this version works with {migrate.newest()}."
        raise Problem("unavailable", f"{told} Run `penstock migrate` first.")
    return folder
