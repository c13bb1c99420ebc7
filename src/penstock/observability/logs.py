"""Logs: one line for each thing that happened, JSON for machines, coloured text on a terminal; secrets never.

Everything goes to standard error, Penstock's own events and those of libraries (uvicorn, asyncio) alike. What is
bound to the context of a request (`request_id`, `account_id`) stands in every line that the request causes.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["auto", "console", "json"]

HIDDEN = "[hidden]"
MAX_VALUE_CHARACTERS = 2_000  # of one value in one line
# A key that holds one of these words holds a secret, or something that proves who somebody is.
_SECRET_KEY = re.compile(r"password|secret|token|cookie|authorization|credential|api_?key|signature", re.IGNORECASE)
# What looks like a credential wherever it turns up: a bearer header, an API key, a signed token, a signed address.
_SECRET_TEXT = re.compile(
    r"(?i:bearer)\s+[\w.~+/=-]{8,}|\bpk_[A-Za-z0-9]{8,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"
    r"|(?i:X-Amz-Credential|X-Amz-Security-Token|signature)=[^&\s\"']+"
)
_QUIET = ("uvicorn", "uvicorn.error", "uvicorn.access", "watchfiles", "httpx2", "httpcore2", "PIL", "alembic")


def configure_logging(log_format: LogFormat = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Set up logging for this process.

    Args:
        log_format: `auto` is for people where `stream` is a terminal, JSON elsewhere.
        level: the least that is logged.
        stream: standard error if not given.
    """
    stream = stream or sys.stderr
    for_people = log_format == "console" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(shared, for_people=for_people, colours=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take out what must never stand in a log, wherever in the event it is; for structlog's chain."""
    return cast(EventDict, {key: _shown(key, value) for key, value in event.items()})


def _shown(key: str, value: Any) -> Any:
    if key.startswith("_"):  # structlog's own
        return value
    if _SECRET_KEY.search(key):
        return HIDDEN
    if isinstance(value, str):
        return _SECRET_TEXT.sub(HIDDEN, value[:MAX_VALUE_CHARACTERS])
    if isinstance(value, Mapping):
        return {inner: _shown(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown("", each) for each in value]
    return value


def _formatter(shared: list[Processor], *, for_people: bool, colours: bool) -> logging.Formatter:
    ending: list[Processor]
    if for_people:
        ending = [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)]
    else:
        ending = [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer(default=str)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
    )
