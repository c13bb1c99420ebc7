"""How near a picture is to another: what benchmarks print and tests bound."""

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

Bytes = npt.NDArray[np.uint8]


def psnr(picture: Bytes, clean: Bytes) -> float:
    """Peak signal to noise ratio in dB; 100 for equal pictures."""
    error = float(np.mean((picture.astype(np.float64) - clean) ** 2))
    return 100.0 if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(picture: Bytes, clean: Bytes) -> float:
    """Structural similarity (Wang et al., 2004), at most 1, over all channels."""
    return float(structural_similarity(picture, clean, channel_axis=-1, data_range=255))  # type: ignore[no-untyped-call]
