"""The engines that race: Penstock's own, RQ and Huey, each a program of its own that answers with one line of JSON."""
