"""What the picture code learns from and is judged by: photographs, synthetic ageing, generated scenes.

Nothing here is part of the run-time package; training, tests and benchmarks import it from the repository's root.
"""
