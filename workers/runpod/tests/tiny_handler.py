"""The container's entry with tiny models, for tests that run RunPod's own loop: `handler.py` itself, unchanged.

What a test can see or say:

    TRACE                 a file that gets a line for each step
    HOLD                  while this file is there, jobs whose prompt says "hold" stay in their second step
    prompt "boom"         fails as a bug of ours would
    prompt "huge"         fails as a card does that has too little memory
    MAX_ANSWER_BYTES      of a result that goes without the bucket
"""

import os
import runpy
from pathlib import Path
from typing import Any

import tiny
import torch

from penstock_worker import diffusion, results
from penstock_worker.watch import Watch

HOLD_LIMIT_S = 120.0
ENTRY = Path(__file__).parent.parent / "handler.py"


def watched_make(self: Any, wish: Any, pictures: Any, watch: Watch) -> Any:
    """Do the work as ever; let the test see and steer it."""
    count = watch.step

    def step(stage: str, done: int, total: int) -> None:
        count(stage, done, total)
        with Path(os.environ["TRACE"]).open("a") as trace:
            trace.write(f"{wish.prompt} {done}/{total}\n")
        if done == 2 and "hold" in wish.prompt and Path(os.environ["HOLD"]).exists():
            watch._stop.wait(HOLD_LIMIT_S)

    watch.step = step  # type: ignore[method-assign]
    if wish.prompt == "boom":
        raise KeyError("a bug")
    transformer = self.pipeline.transformer
    forward = transformer.forward
    transformer.forward = _exhausted if wish.prompt == "huge" else forward
    try:
        return make(self, wish, pictures, watch)
    finally:
        transformer.forward = forward


def _exhausted(*_: Any, **__: Any) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


make = diffusion.DiffusionModel.make

if __name__ == "__main__":
    torch.set_num_threads(1)
    tiny.read_words_simply()
    diffusion.DiffusionModel.make = watched_make  # type: ignore[method-assign]
    vars(results)["MAX_ANSWER_BYTES"] = int(os.environ["MAX_ANSWER_BYTES"])
    runpy.run_path(str(ENTRY), run_name="__main__")
