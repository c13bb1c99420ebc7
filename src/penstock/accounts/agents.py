"""A label for the program behind a session, such as `Firefox on Linux`, so that its owner recognises it.

From the User-Agent header, which anybody may forge: good for display, never for a decision.
"""

# The first match wins: nearly every browser also claims to be some of those after it.
_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("python", "Python"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def label(user_agent: str) -> str:
    """Return a label made of known words only, `Unknown program` where none is found."""
    program = _first(_PROGRAMS, user_agent) or "Unknown program"
    system = _first(_SYSTEMS, user_agent)
    return program if system is None else f"{program} on {system}"


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for mark, name in names if mark in user_agent), None)
