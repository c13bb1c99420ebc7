"""Tiles: whatever is done to each, their seams must not show."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penstock.imaging.picture import Floats
from penstock.imaging.tiles import bands, spans


@given(
    length=st.integers(1, 300),
    tile=st.integers(2, 120),
    share=st.floats(0, 0.5),
    scale=st.sampled_from((1, 2, 3)),
)
def test_the_weights_of_all_tiles_add_up_to_one_everywhere(length: int, tile: int, share: float, scale: int) -> None:
    found = spans(length, tile, int(tile * share), scale)
    total = np.zeros(length * scale)
    for span in found:
        assert span.stop - span.start == min(tile, length)
        total[span.start * scale : span.stop * scale] += span.weights
    assert np.allclose(total, 1)


@given(
    sides=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    tile=st.integers(4, 40),
    share=st.floats(0, 0.5),
    scale=st.sampled_from((1, 2)),
)
def test_bands_follow_each_other_without_a_gap_and_hold_the_whole_picture(
    sides: tuple[int, int], tile: int, share: float, scale: int
) -> None:
    picture = np.random.default_rng(3).random((*sides, 2), np.float32)
    large = picture.repeat(scale, 0).repeat(scale, 1)
    rows, columns = (spans(side, tile, int(tile * share), scale) for side in sides)

    def enlarged(down: slice, across: slice) -> Floats:
        return picture[down, across].repeat(scale, 0).repeat(scale, 1)

    seen = 0
    for top, band in bands(rows, columns, enlarged, scale):
        assert top == seen
        assert np.allclose(band, large[top : top + len(band)], atol=1e-6)
        seen += len(band)
    assert seen == len(large)


def test_the_edge_of_a_tile_counts_for_nothing_where_a_neighbour_knows_better() -> None:
    first, second = spans(100, 60, 20)
    assert (first.weights[-5:] == 0).all()
    assert (second.weights[:5] == 0).all()
    assert first.weights[0] == 1, "there is no neighbour beyond the picture"
    shared = first.weights[40:]
    assert (np.diff(shared) <= 0).all()
    assert np.allclose(shared + second.weights[:20], 1)
