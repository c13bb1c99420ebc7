"""The tables of files, uploads and results."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, Index, Integer, Table, Text

from penstock.kit.database import metadata

# What may lie in storage. A row is there, `pending`, before the first byte is, and goes only after the last one has.
files = Table(
    "files",
    metadata,
    Column("key", Text, primary_key=True),
    Column("owner", Text, nullable=False),  # account id
    Column("state", Text, CheckConstraint("state IN ('pending', 'kept', 'doomed')", name="state"), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("keep_until", Double),  # while pending: when it is given up
    Index("ix_files_owner", "owner"),
)
# What the sweep looks for; kept files, nearly all of them, cost nothing here.
_UNKEPT = files.c.state != "kept"
Index("ix_files_unkept", files.c.state, files.c.keep_until, sqlite_where=_UNKEPT, postgresql_where=_UNKEPT)

# A picture that a customer sent: the cleaned picture lies under `key`, the rest tells of the original, which is gone.
uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("corners", Text),  # JSON: four [x, y] in 0..1, clockwise from top left
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_uploads_account_expires", "account_id", "expires_at"),
    Index("ix_uploads_expires", "expires_at"),
)

# Permission to send one picture straight to storage; gone once there is an upload of it, or its time is over.
upload_slips = Table(
    "upload_slips",
    metadata,
    Column("id", Text, primary_key=True),  # of the upload that it may become
    Column("account_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("arrived_at", Double),
    Column("taken_at", Double),  # by who looks at what came
    Index("ix_upload_slips_account_expires", "account_id", "expires_at"),
    Index("ix_upload_slips_expires", "expires_at"),
)

# What a job made. The row stays when the bytes go, so that "deleted" and "expired" can be told from "never was".
results = Table(
    "results",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, nullable=False, unique=True),
    Column("account_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("variants", Text, nullable=False),  # JSON: [{name, key, media_type, bytes, width, height}]
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("deleted_at", Double),
    Index("ix_results_account_created", "account_id", "created_at"),
)
_EXPIRING = results.c.expires_at.is_not(None) & results.c.deleted_at.is_(None)
Index("ix_results_expires", results.c.expires_at, sqlite_where=_EXPIRING, postgresql_where=_EXPIRING)
