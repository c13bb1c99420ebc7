"""A correct product file whose lines the tests change one at a time."""

from pathlib import Path

from penstock.product.loading import LoadedProduct, load_product
from penstock.product.mistakes import Mistake, ProductFileError

SAMPLE = """\
name = "rekindle"

[brand]
title = "Rekindle"
tagline = "Bring your old photographs back to life."
accent = "#b4512d"

[texts]
home_title = "Welcome"

[sign_in]
anonymous = true

[uploads]
max_mb = 50

[operations.restore]
title = "Restore"
description = "Takes out scratches."
task = "restore"
price = 2
route = ["local", "gemini"]
timeout_s = 120
[operations.restore.inputs]
picture = { kind = "picture", title = "Your photograph" }
[operations.restore.options.scratches]
kind = "choice"
title = "Scratches"
default = "auto"
choices = [
  { value = "auto", title = "Automatic" },
  { value = "off", title = "Leave" },
]
[operations.restore.options.grain]
kind = "toggle"
title = "Take out the grain"
default = true
[operations.restore.options.tone]
kind = "range"
title = "Bring back the tone"
min = 0
max = 1
step = 0.1
default = 0.5

[operations.colourise]
title = "Colourise"
description = "Gives it colours."
task = "colourise"
prompt = "Colourise this."
price = 3
route = ["gemini"]
inputs.picture = { kind = "picture", title = "Your photograph" }

[plans.free]
title = "Free"
description = "Try it."
credits_month = 3
[plans.free.limits]
running = 1
jobs_per_day = 10

[plans.plus]
title = "Plus"
description = "For an album."
price_usd_month = "7.99"
credits_month = 25
head_start_s = 300

[topups.small]
credits = 10
price_usd = "4.99"

[providers.local]
adapter = "local"

[providers.gemini]
adapter = "gemini"
key_env = "GEMINI_API_KEY"
model = "gemini-nano-banana-2.1"
"""


def changed(*changes: tuple[str, str]) -> str:
    """Return the sample with each first text replaced by its second; each must stand there."""
    text = SAMPLE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def load(folder: Path, text: str, environment: dict[str, str] | None = None) -> LoadedProduct:
    """Load `text` from a file `rekindle.toml`."""
    path = folder / "rekindle.toml"
    path.write_text(text, encoding="utf-8", newline="")
    return load_product(path, environment or {})


def mistakes(folder: Path, text: str) -> tuple[Mistake, ...]:
    """Return the mistakes of `text`; none for a correct one."""
    try:
        load(folder, text)
    except ProductFileError as error:
        return error.mistakes
    return ()
