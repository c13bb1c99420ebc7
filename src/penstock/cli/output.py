"""How the commands write: in colour on a terminal, plain and unwrapped elsewhere.

Results go to standard output, what went wrong to standard error. Whatever comes from a file or a customer is
written as it is, never read as markup.
"""

from rich.console import Console
from rich.text import Text


def results() -> Console:
    """Return where results are written; made anew each time, so that it follows a redirected stream."""
    return Console(highlight=False, soft_wrap=True)


def problems() -> Console:
    """Return where it is written what went wrong."""
    return Console(highlight=False, soft_wrap=True, stderr=True)


def say_problem(text: str) -> None:
    """Write what went wrong."""
    problems().print(Text(text, style="red"))
