"""`onnx`: the maker's own ONNX model for restoration, colour or enlarging, on this machine: no key, no vendor, no cost.

    submit -> a child process (time and memory limited) -> onnx_work.work_on -> Finished

Every run has a child of its own, and `onnxruntime` is imported there: it starts threads, which don't survive a fork,
and a model is a program that nobody here has read. Each provider has children of its own too, for a model may need
more memory than decoding a picture does.
"""

import tempfile
import time
from pathlib import Path

from penstock.kit.children import ChildDiedError, ChildError, Children, ChildTimeoutError
from penstock.product.schema_providers import Provider as Settings
from penstock.providers import onnx_work
from penstock.providers.onnx_work import ModelError, TooLargeError, Work
from penstock.providers.seam import Attempt, Finished, Health, ProviderError, Request, Running
from penstock.providers.surroundings import Surroundings

HEALTH_S = 60.0  # that the small picture of a trial may take
BYTES_PER_MB = 1 << 20


class OnnxProvider:
    """Runs one model as its table in the product file says."""

    tasks = frozenset({"restore", "colourise", "restore_colourise", "upscale"})
    billed = False
    reattachable = False

    def __init__(self, name: str, settings: Settings, around: Surroundings) -> None:
        """Answer to `name`."""
        assert settings.onnx is not None, "the check of the product file asks for it"
        self.name = name
        model = settings.onnx
        self._work = Work(around.folder / model.file, model)
        self._children = Children(
            settings.concurrency,
            memory_bytes=model.memory_mb * BYTES_PER_MB,
            threads=model.threads,
            preload=onnx_work.PRELOAD,
        )

    async def submit(self, request: Request, attempt: Attempt) -> Finished:
        """Do the work. Errors: ProviderError."""
        source = next(iter(request.pictures.values()), None)
        if source is None:
            raise ProviderError("broken", "no picture was given")
        try:
            return await self._children.call(
                onnx_work.work_on,
                self._work,
                source,
                request.folder,
                timeout_s=attempt.timeout_s,
                progress=attempt.report,
            )
        except TooLargeError as error:
            raise ProviderError("invalid", str(error), message=str(error)) from error
        except (ModelError, ChildTimeoutError) as error:
            raise ProviderError("broken", str(error)) from error
        except ChildDiedError as error:
            model = self._work.model
            advice = f"; if it needs more than {model.memory_mb} MB, raise memory_mb, or write a smaller tile"
            raise ProviderError("transient", f"{error}{advice}") from error
        except ChildError as error:
            raise ProviderError("broken", str(error)) from error

    async def poll(self, reference: str, request: Request) -> Running | Finished:  # noqa: ARG002
        """Never asked: everything is done in `submit`."""
        raise ProviderError("broken", f"onnx hands out no references, and {reference} is none of its own")

    async def cancel(self, reference: str) -> None:
        """Nothing to stop: cancelling the call kills its child."""

    async def health(self) -> Health:
        """Run the model once on a small picture and say what is wrong with it."""
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="penstock-onnx-") as folder:
            picture = onnx_work.sample(Path(folder) / "sample.png")
            request = Request("trial", "restore", {"picture": picture}, {}, {}, None, Path(folder))
            try:
                await self.submit(request, Attempt(1, "trial", HEALTH_S))
            except ProviderError as error:
                return Health(ok=False, detail=error.detail, remedy=f"See providers.{self.name}.onnx.")
        return Health(ok=True, detail=f"the model ran in {time.perf_counter() - started:.1f} s")

    async def close(self) -> None:
        """End its children."""
        await self._children.close()
