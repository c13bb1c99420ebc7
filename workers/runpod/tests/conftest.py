"""Settings of the tests that need torch."""

import pytest
import tiny
import torch


@pytest.fixture(scope="session", autouse=True)
def simple_words() -> None:
    """Let tiny models do without text encoders; one thread, for theirs is not the work that gets faster by two."""
    torch.set_num_threads(1)
    tiny.read_words_simply()
