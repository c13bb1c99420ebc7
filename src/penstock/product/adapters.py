"""What the product file may rely on: the known tasks, and the adapters with what each can do.

A checked file needs these facts without loading any adapter, so they stand here and the providers' own tests prove
that each adapter that is built agrees (`ADAPTERS[name].tasks == provider.tasks`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.product.schema_parts import InputKind, OptionKind

# What each task needs from the customer at the least.
TASKS: Mapping[str, frozenset[InputKind]] = {
    "restore": frozenset({"picture"}),
    "perspective": frozenset({"picture"}),
    "colouring_page": frozenset({"picture"}),
    "colourise": frozenset({"picture"}),
    "restore_colourise": frozenset({"picture"}),
    "edit": frozenset({"picture"}),
    "generate": frozenset({"text"}),
    "upscale": frozenset({"picture"}),
    "chat": frozenset({"text"}),
    "diagram": frozenset({"text"}),
    "animate": frozenset({"picture"}),
    "image_to_video": frozenset({"picture"}),
    "text_to_video": frozenset({"text"}),
}
WRITES: frozenset[str] = frozenset({"chat", "diagram"})
"""The tasks that come to a text."""
FILMS: frozenset[str] = frozenset({"animate", "image_to_video", "text_to_video"})
"""The tasks that come to a video."""


def comes_to(task: str) -> str:
    """Return what kind of output a known task has."""
    return "text" if task in WRITES else "video" if task in FILMS else "picture"


@dataclass(frozen=True)
class KnownOption:
    """An option that an adapter understands; `values` of a choice, from `low` to `high` for a range."""

    kind: OptionKind
    values: tuple[str, ...] = ()
    low: float = 0
    high: float = 1


@dataclass(frozen=True)
class Adapter:
    """One way of getting work done.

    Args:
        tasks: what it can be asked to do; each stands in `TASKS`.
        needs_key: whether it does nothing without a key in the environment.
        takes_prompt: whether an operation's `prompt` reaches it.
        needs_model: whether it must be told which of the vendor's models to ask.
        keyless_elsewhere: whether it may do without a key at a `base_url` of one's own.
        models: the only ones that can do a task, by task; any can if the task is left out.
        any_option: whether it passes on every option to a model of which we know nothing.
        options: what it understands besides `corners` (which are cut out before it gets the picture), by task.
        runs_models: whether it runs a model of the maker's own, which a table `onnx` describes.
        built: whether this version can speak to it; a file may name one that is not, and it is off.
    """

    tasks: frozenset[str]
    needs_key: bool
    takes_prompt: bool
    built: bool
    needs_model: bool = False
    keyless_elsewhere: bool = False
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    any_option: bool = False
    runs_models: bool = False
    options: Mapping[str, Mapping[str, KnownOption]] = field(default_factory=dict)


_PHOTOGRAPHS: frozenset[str] = frozenset({"restore", "colourise", "restore_colourise"})
_DRAWING = ("ultra", "core", "sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium")
SHAPE = KnownOption("choice", values=("square", "portrait", "landscape", "tall", "wide"))
DRAWN = ("auto", "flowchart", "sequence", "class", "er", "mindmap")  # without any model
DIAGRAMS = (*DRAWN, "state", "gantt", "pie", "timeline", "journey", "quadrant", "git")
_KINDS = {"diagram": {"kind": KnownOption("choice", values=DIAGRAMS)}}

ADAPTERS: Mapping[str, Adapter] = {
    "local": Adapter(
        tasks=frozenset({"restore", "perspective", "colouring_page", "animate", "diagram"}),
        needs_key=False,
        takes_prompt=False,
        built=True,
        options={
            "restore": {
                "scratches": KnownOption("choice", values=("auto", "on", "off")),
                "grain": KnownOption("toggle"),
                "tone": KnownOption("range", low=0, high=1),
            },
            "colouring_page": {"detail": KnownOption("choice", values=("detailed", "simple", "kids"))},
            "diagram": {"kind": KnownOption("choice", values=DIAGRAMS)},
            "animate": {
                "move": KnownOption("choice", values=("zoom_in", "zoom_out", "pan_left", "pan_right", "rise")),
                "seconds": KnownOption("range", low=2, high=8),
            },
        },
    ),
    "onnx": Adapter(
        tasks=_PHOTOGRAPHS | {"upscale"},
        needs_key=False,
        takes_prompt=False,
        built=True,
        runs_models=True,
    ),
    "gemini": Adapter(
        tasks=_PHOTOGRAPHS | {"edit", "generate"},
        needs_key=True,
        takes_prompt=True,
        built=True,
        needs_model=True,
        options={"generate": {"shape": SHAPE}},
    ),
    "openai_images": Adapter(
        tasks=_PHOTOGRAPHS | {"edit", "generate"},
        needs_key=True,
        takes_prompt=True,
        built=True,
        needs_model=True,
        keyless_elsewhere=True,
        options={"generate": {"shape": SHAPE}},
    ),
    "openai_chat": Adapter(
        tasks=WRITES,
        needs_key=True,
        takes_prompt=True,
        built=True,
        needs_model=True,
        keyless_elsewhere=True,
        options=_KINDS,
    ),
    "anthropic": Adapter(tasks=WRITES, needs_key=True, takes_prompt=True, built=True, needs_model=True, options=_KINDS),
    "stability": Adapter(
        tasks=frozenset({"edit", "generate", "upscale"}),
        needs_key=True,
        takes_prompt=True,
        built=True,
        needs_model=True,
        models={"generate": _DRAWING, "edit": _DRAWING, "upscale": ("fast", "conservative", "creative")},
        options={"generate": {"shape": SHAPE}},
    ),
    "runpod": Adapter(
        tasks=_PHOTOGRAPHS | FILMS | {"edit", "generate", "upscale"},
        needs_key=True,
        takes_prompt=True,
        built=True,
        needs_model=True,
        any_option=True,
    ),
    "replicate": Adapter(
        tasks=_PHOTOGRAPHS | FILMS | {"edit", "generate", "upscale"},
        needs_key=True,
        takes_prompt=True,
        built=True,
        needs_model=True,
        any_option=True,
    ),
}
