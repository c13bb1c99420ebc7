"""Reading: whether a diagram that somebody wrote can be drawn. Part of the studio, before any money moves.

Mermaid's own parser decides, in a child process, for the text comes from strangers by way of a model.
"""

import structlog

from penstock.diagrams import parser
from penstock.diagrams.parser import CHECK_S, ParserMissingError
from penstock.kit.children import ChildDiedError, ChildError, Children, ChildTimeoutError
from penstock.providers.seam import Draft, FlawedError, ProviderError

log = structlog.get_logger()


class DiagramReader:
    """Reads diagrams in child processes."""

    def __init__(self, children: Children) -> None:
        """Share `children` with everything else that touches what strangers send."""
        self._children = children

    async def check(self, text: object) -> None:
        """Do nothing if Mermaid can read a text.

        Errors: FlawedError with the parser's complaint; ProviderError where the parser could not tell.
        """
        if not isinstance(text, str):
            raise ProviderError("broken", "the answer holds no diagram")
        try:
            verdict = await self._children.call(parser.read, text, timeout_s=CHECK_S)
        except ParserMissingError as error:
            log.error("diagrams.no_parser", detail=str(error))
            raise ProviderError("broken", str(error)) from error
        except (ChildTimeoutError, ChildDiedError) as error:
            raise ProviderError("broken", f"Mermaid's parser does not get to the end of it: {error}") from error
        except ChildError as error:
            raise ProviderError("transient", f"reading the diagram: {error}") from error
        if verdict.complaint is not None:
            raise FlawedError(Draft(text, verdict.complaint))
