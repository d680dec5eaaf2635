from __future__ import annotations

import numpy as np
import pytest

from seqcli.figures.picture import cell_weights, check_picture, enlarged, greyed, overlaid, see_through, upsample

SIZES = [
    ((5, 5), (75, 75)),
    ((5, 22), (40, 176)),
    ((7, 7), (224, 224)),
    ((3, 4), (10, 11)),
    ((1, 1), (4, 3)),
    ((6, 5), (2, 3)),
]


@pytest.mark.parametrize(("grid", "size"), SIZES)
def test_a_smooth_map_sums_to_what_the_map_summed_to_and_is_never_negative(
    grid: tuple[int, int], size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(2)
    weights = rng.dirichlet(np.full(grid[0] * grid[1], 0.3), size=(2, 3)).reshape(2, 3, *grid)
    smooth = upsample(weights, *size)
    assert smooth.shape == (2, 3, *size)
    assert smooth.sum((-2, -1)) == pytest.approx(np.ones((2, 3)))
    assert smooth.min() >= 0
    # Also where not all of the attention is on the image.
    assert upsample(0.4 * weights, *size).sum((-2, -1)) == pytest.approx(np.full((2, 3), 0.4))


def test_weights_between_two_centres_lie_on_the_line_between_them() -> None:
    # Two cells on four pixels. Pixels 0 and 3 lie half beyond a centre (at 1 and 3), where the map is flat. By hand, in cells: the
    # left cell's tent is 1 up to 0.5 and falls to 0 at 1.5; over 0–½, ½–1, 1–1½, 1½–2 its area is ½, ⅜, ⅛, 0.
    assert upsample(np.array([[1.0, 0.0]]), 1, 4) == pytest.approx(np.array([[0.5, 0.375, 0.125, 0.0]]))
    assert upsample(np.array([[0.25, 0.75]]), 1, 4) == pytest.approx(np.array([[0.125, 0.1875, 0.3125, 0.375]]))


@pytest.mark.parametrize(("grid", "size"), SIZES)
def test_an_even_map_stays_even(grid: tuple[int, int], size: tuple[int, int]) -> None:
    smooth = upsample(np.full(grid, 1 / (grid[0] * grid[1])), *size)
    assert smooth == pytest.approx(np.full(size, 1 / (size[0] * size[1])))


@pytest.mark.parametrize("size", [(50, 70), (48, 67), (201, 33)])
def test_the_weight_of_one_cell_stays_around_its_centre(size: tuple[int, int]) -> None:
    for row, column in np.ndindex(5, 7):
        weights = np.zeros((5, 7))
        weights[row, column] = 1.0
        smooth = upsample(weights, *size)
        down = ((np.arange(size[0]) + 0.5) * 5 / size[0]) @ smooth.sum(1)
        across = ((np.arange(size[1]) + 0.5) * 7 / size[1]) @ smooth.sum(0)
        # What is folded back at an edge moves the centre by 1/24 of a cell: ½·¼ + ½·(½+⅓) = 13/24.
        inward = {0: 1 / 24, 4: -1 / 24}.get(row, 0.0), {0: 1 / 24, 6: -1 / 24}.get(column, 0.0)
        assert (down, across) == pytest.approx((row + 0.5 + inward[0], column + 0.5 + inward[1]), abs=0.01)
        peak = np.unravel_index(smooth.argmax(), size)
        assert (peak[0] * 5 // size[0], peak[1] * 7 // size[1]) == (row, column)


def test_in_units_of_the_grid_the_centre_of_a_cell_has_its_weight() -> None:
    weights = np.array([[0.1, 0.6], [0.3, 0.0]])
    smooth = cell_weights(weights, 202, 202)  # a pixel's middle is at each centre, nearly
    assert smooth[50::101, 50::101] == pytest.approx(weights, abs=0.01)


@pytest.mark.parametrize("shape", [(75, 75), (40, 176), (28, 28)])
def test_a_small_image_stays_crisp_and_keeps_its_shape(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    picture = enlarged(image, 2.3)
    times = picture.shape[0] // shape[0]
    assert times >= 3
    assert picture.shape == (shape[0] * times, shape[1] * times, 3)
    for corner in np.ndindex(times, times):
        assert np.array_equal(picture[corner[0] :: times, corner[1] :: times], image)


def test_a_large_image_is_made_to_fit_and_long_ones_are_held() -> None:
    photo = np.full((480, 640), 90, dtype=np.uint8)
    assert enlarged(photo, 2.0).shape == (
        245,
        327,
        3,
    )  # 200 dots an inch, 4:3, of 2 square inches: √1.5 by √(8/3) inches
    assert (enlarged(photo, 2.0) == 90).all()
    assert enlarged(np.zeros((20, 2000), np.uint8), 2.3).shape == (8, 800, 3)
    assert enlarged(np.zeros((2000, 20), np.uint8), 2.3).shape == (500, 5, 3)


def test_grey_keeps_the_order_of_lightness() -> None:
    black, red, green, white = [0, 0, 0], [255, 0, 0], [0, 255, 0], [255, 255, 255]
    grey = greyed(np.array([[black, red, green, white]], dtype=np.uint8))
    # From 55 to 245; red is 0.2126 and green 0.7152 of white.
    assert grey[0].tolist() == [[55] * 3, [95] * 3, [191] * 3, [245] * 3]


def test_a_map_is_laid_over_the_grey_picture_as_strongly_as_its_weights() -> None:
    picture = np.full((1, 1, 3), 128, dtype=np.uint8)  # one pixel, one cell: the map is the weight itself
    none, eighth, all_of_it = overlaid(picture, np.array([0.0, 0.05, 0.4])[:, None, None], 0.4)[:, 0, 0].tolist()
    # Grey: 55 + 128·190/255 = 150. Opacity 0.85·(1/8)^⅔ = 0.2125, and 0.85; orange is (255, 98, 0).
    assert none == [150, 150, 150]
    assert eighth == pytest.approx([172.3, 138.9, 118.1], abs=1)
    assert all_of_it == pytest.approx([239.3, 105.8, 22.5], abs=1)


def test_the_scale_starts_at_nothing_and_grows() -> None:
    opacity = see_through("#FF6200")(np.linspace(0, 1, 100))[:, 3]
    assert opacity[0] == 0
    assert (np.diff(opacity) > 0).all()
    assert 0.7 < opacity[-1] < 1


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((3, 4, 4), np.uint8), np.zeros((4,), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_what_is_no_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"must be uint8 and \(h,w,3\) or \(h,w\)"):
        check_picture(image)
