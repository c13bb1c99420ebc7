"""Where the services are that many processes share: they turn scale mode on, each by itself."""

from typing import Annotated

from pydantic import Field, StringConstraints

from penstock.product.schema_parts import Part

ServiceAddress = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Services(Part):
    """What many processes share. The environment goes first, and passwords stand there only."""

    database_url: ServiceAddress | None = Field(
        default=None, description="a PostgreSQL database; absent: the SQLite file in the data folder"
    )
    redis_url: ServiceAddress | None = Field(
        default=None, description="a Redis server through which processes hear of each other; absent: they do without"
    )
    storage_url: ServiceAddress | None = Field(default=None, description="a bucket for files; absent: the data folder")
