"""Colouring pages: the time each preset takes and the bytes of its page. The drawings are in `OUT/lineart/`."""

import time
from pathlib import Path
from statistics import median
from typing import Final

import cv2
from training.photographs import photograph

from benchmarks.figure import Figure
from benchmarks.pictures.sheet import side_by_side
from penstock.imaging.lineart import STYLES, line_art, line_art_pdf, line_art_svg

GROUP: Final = "lineart"

PHOTOGRAPHS: Final = ("astronaut", "coffee", "chelsea")
THREADS: Final = 2


def figures(out: Path) -> list[Figure]:
    """Draws a few photographs in each preset."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(THREADS)
    measured = []
    try:
        for preset in STYLES:
            seconds, pdf_bytes, svg_bytes = [], [], []
            for name in PHOTOGRAPHS:
                started = time.perf_counter()
                drawing = line_art(photograph(name), preset)
                seconds.append(time.perf_counter() - started)
                pdf_bytes.append(len(line_art_pdf(drawing, "a4")))
                svg_bytes.append(len(line_art_svg(drawing)))
                side_by_side([drawing], out / "lineart" / f"{name}-{preset}.png")
            measured.append(Figure(f"lineart.{preset}.time", median(seconds), "s", {}))
            measured.append(Figure(f"lineart.{preset}.pdf", median(pdf_bytes) / 1000, "kB", {}))
            measured.append(Figure(f"lineart.{preset}.svg", median(svg_bytes) / 1000, "kB", {}))
    finally:
        cv2.setNumThreads(threads)
    return measured
