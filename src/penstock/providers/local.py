"""`local`: the provider that is always there. Classical work in child processes: no key, no network, no cost.

It restores, straightens, draws, and lets a camera glide over a still; it does not pretend to colour or to bring a
picture to life, which needs a learnt model, nor to understand prose: diagrams are made of texts that have a structure
already. The functions at the bottom run in a child.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from penstock.diagrams import drawing
from penstock.diagrams.shapes import NotDrawnError
from penstock.imaging import camera, lineart, video
from penstock.imaging.corners import find_corners, straighten
from penstock.imaging.picture import BadPicture, Picture
from penstock.imaging.restore import RestoreSettings, restore
from penstock.kit.children import ChildDiedError, ChildError, Children, ChildTimeoutError
from penstock.providers.seam import (
    Attempt,
    Finished,
    Health,
    Output,
    ProviderError,
    Request,
    Running,
    UnfitError,
)

PRELOAD = ("penstock.providers.local",)  # what a pool of children should have loaded before its first call
PRELOAD_DIAGRAMS = ("penstock.diagrams.warm",)  # the same, where there are diagrams

DEFAULT_SECONDS = 5.0  # of a video

Report = Callable[[str, float], None]


class LocalProvider:
    """Works in `children`, which it shares with everything else that touches pictures."""

    tasks = frozenset({"restore", "perspective", "colouring_page", "animate", "diagram"})
    billed = False
    reattachable = False

    def __init__(self, name: str, children: Children) -> None:
        """Answer to `name`."""
        self.name = name
        self._children = children

    async def submit(self, request: Request, attempt: Attempt) -> Finished:
        """Do the work; a child that dies or hangs is a passing fault. Errors: ProviderError."""
        work, arguments = _work(request)
        try:
            return await self._children.call(
                work, *arguments, dict(request.options), timeout_s=attempt.timeout_s, progress=attempt.report
            )
        except NotDrawnError as error:
            raise UnfitError(str(error)) from error
        except NoPrintError as error:
            raise ProviderError("invalid", str(error), message=str(error)) from error
        except BadPicture as error:
            raise ProviderError("invalid", str(error)) from error
        except ChildTimeoutError as error:
            raise ProviderError("broken", str(error)) from error
        except ChildDiedError as error:
            raise ProviderError("transient", str(error)) from error
        except ChildError as error:
            raise ProviderError("broken", str(error)) from error

    async def poll(self, reference: str, request: Request) -> Running | Finished:  # noqa: ARG002
        """Never asked: everything is done in `submit`."""
        raise ProviderError("broken", f"local hands out no references, and {reference} is none of its own")

    async def cancel(self, reference: str) -> None:
        """Nothing to stop: cancelling the call kills its child."""

    async def health(self) -> Health:
        """Ready whenever children can be started."""
        try:
            await self._children.start()
        except ChildError as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True)

    async def close(self) -> None:
        """Nothing of its own to give back."""


class NoPrintError(Exception):
    """No print was found in the picture; the text is for the customer."""


def restore_file(source: Path, folder: Path, options: Mapping[str, Any], progress: Report) -> Finished:
    """Restore a picture file. Options: `scratches` auto|on|off, `grain` bool, `tone` 0..1."""
    settings = RestoreSettings(
        scratches=options.get("scratches", "auto"),
        grain="auto" if options.get("grain", True) else "off",
        tone=float(options.get("tone", 0.85)),
    )
    restored = restore(_read(source), settings, progress)
    return _finished(folder, restored.picture)


def straighten_file(source: Path, folder: Path, options: Mapping[str, Any], progress: Report) -> Finished:
    """Cut the print out of a photo of it and make it straight. Option: `corners`, otherwise they are looked for."""
    picture = _read(source)
    progress("finding the corners", 0.1)
    corners = options.get("corners")
    if corners is None:
        found = find_corners(picture)
        if found is None:
            raise NoPrintError("We could not find a print in this picture. Please drag the corners onto it.")
        corners = found
    progress("straightening", 0.5)
    return _finished(folder, straighten(picture, tuple((float(x), float(y)) for x, y in corners)))


def draw_file(source: Path, folder: Path, options: Mapping[str, Any], progress: Report) -> Finished:
    """Draw a colouring page: PNG, SVG, and PDF in A4 and Letter. Option: `detail` detailed|simple|kids."""
    progress("drawing", 0.1)
    drawing = lineart.line_art(_read(source), options.get("detail", "detailed"))
    progress("tracing", 0.7)
    vector = folder / "drawing.svg"
    vector.write_text(lineart.line_art_svg(drawing), encoding="utf-8")
    extras = [Output("svg", vector, "image/svg+xml")]
    for paper in ("a4", "letter"):
        page = folder / f"drawing-{paper}.pdf"
        page.write_bytes(lineart.line_art_pdf(drawing, paper))
        extras.append(Output(f"pdf_{paper}", page, "application/pdf"))
    finished = _finished(folder, np.repeat(drawing[:, :, None], 3, axis=2))
    return Finished(outputs=(*finished.outputs, *extras))


def animate_file(source: Path, folder: Path, options: Mapping[str, Any], progress: Report) -> Finished:
    """Let a camera glide over the picture, as a video. Options: `move`, one of `camera.MOVES`; `seconds` 2..8."""
    if not video.AVAILABLE:
        raise RuntimeError("PyAV is not installed: pip install 'penstock[video]'")
    seconds = float(options.get("seconds", DEFAULT_SECONDS))
    path = folder / "made.mp4"
    frames = camera.glide(_read(source), options.get("move", "zoom_in"), seconds)
    video.write(_counted(frames, round(camera.RATE * seconds), progress), path, camera.RATE)
    return Finished(outputs=(Output("full", path, "video/mp4"),))


def _counted(frames: Iterator[Picture], count: int, progress: Report) -> Iterator[Picture]:
    for number, frame in enumerate(frames):
        progress("filming", min(1.0, number / count))
        yield frame


def draw_diagram(text: str, options: Mapping[str, Any], progress: Report) -> Finished:
    """Write a structured text as a diagram. Option: `kind`, `auto` for what suits the text."""
    progress("drawing", 0.1)
    return Finished(values={"mermaid": drawing.draw(text, str(options.get("kind", "auto")))})


def _work(request: Request) -> tuple[Callable[..., Finished], tuple[object, ...]]:
    """Return what to call in a child, and with what. Errors: ProviderError, `broken`."""
    if request.task == "diagram":
        return draw_diagram, ("\n\n".join(filter(None, request.texts.values())),)
    if request.task not in _WORK:
        raise ProviderError("broken", f"local can't do “{request.task}”")
    if not request.pictures:
        raise ProviderError("broken", "no picture was given")
    return _WORK[request.task], (next(iter(request.pictures.values())), request.folder)


_WORK: Mapping[str, Callable[..., Finished]] = {
    "restore": restore_file,
    "perspective": straighten_file,
    "colouring_page": draw_file,
    "animate": animate_file,
}


def _read(source: Path) -> Picture:
    with Image.open(source, formats=("PNG", "JPEG")) as image:
        return np.asarray(image.convert("RGB"), np.uint8)


def _finished(folder: Path, picture: Picture) -> Finished:
    path = folder / "made.png"
    Image.fromarray(picture).save(path, "PNG", compress_level=1)
    return Finished(outputs=(Output("full", path, "image/png"),))
