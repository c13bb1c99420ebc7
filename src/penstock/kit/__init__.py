"""What every part stands on and no part is about: clock, ids, errors, database sessions, children.

Nothing here knows a domain word; it imports nothing else of Penstock.
"""
