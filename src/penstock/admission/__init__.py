"""May this come in now, and if not, how soon? Pure decisions, and the small memories they need in this process.

Endpoints ask before they do any work; what is refused gets a time to come back. `rates` is the arithmetic, `limiter`
remembers it per key, `headers` tells it, `plan_limits` is about a plan's jobs, `sign_in` slows down guessing.
"""
