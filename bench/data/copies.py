"""Whether small pictures show the same: equal up to brightness, a small cut, and what encoding and resizing change.

What two drawings of one style have in common is most of their area, so a mean difference does not tell them apart; a
mouth that one of them lacks is a large difference at one place. What resizing and JPEG change is small everywhere, and
larger where the picture itself changes from pixel to pixel. Hence a limit at each pixel, which grows with both.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from bench.data.marks import SIDE, contrast

# The limits, from measurements on drawings, digits and photographs: tests/bench/data/test_duplicates.py has some.
OF_CONTRAST = 0.26  # at each pixel: this share of the picture's contrast ...
OF_RANGE = 0.13  # ... and this one of the range around the pixel, in that of both which has less
OF_RANGE_IF_MOVED = 0.4  # the same before the pictures are moved onto each other, for their brightness
ON_AVERAGE = 0.25  # the mean over the pixels: this share of the contrast
FARTHEST = 0.75  # pixels that a picture is moved, at its edges where it is scaled
GAIN, SHIFT = 1.5, 64.0  # how far contrast, and brightness in grey levels, may differ
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # brightness of RGB, ITU-R BT.601
DARK, BRIGHT = 8, 247  # beyond, a pixel may have been cut off by a change of brightness


class SmallPictures:
    """Pictures (N, 16, 16, 3), float32, with what is compared first of each pair: so many pairs have few pictures."""

    def __init__(self, pixels_NHWC: np.ndarray) -> None:
        self._pixels_NHWC = pixels_NHWC
        self._grey_NHW = pixels_NHWC @ LUMA
        self._range_NHW = _range(self._grey_NHW[..., None])[..., 0]
        self._contrast_N = contrast(pixels_NHWC)
        self._inside_NHW = (pixels_NHWC.min(-1) > DARK) & (pixels_NHWC.max(-1) < BRIGHT)

    def copies(self, pairs: np.ndarray, mirrored: bool = False) -> np.ndarray:
        """Whether the pictures of each pair (n, 2) are copies: bool (n,). mirrored: the second one is turned over.

        True if one of them is within the limits once it has the brightness and contrast of the other.
        """
        alike = self._perhaps(pairs, mirrored)
        if alike.any():
            one_NHWC, other_NHWC = self._pixels_NHWC[pairs[alike].T]
            other_NHWC = other_NHWC[:, :, ::-1] if mirrored else other_NHWC
            least_NHW = np.minimum(_range(one_NHWC), _range(other_NHWC)).mean(-1)
            alike[alike] = _within(one_NHWC, other_NHWC, least_NHW) | _within(other_NHWC, one_NHWC, least_NHW)
        return alike

    def _perhaps(self, pairs: np.ndarray, mirrored: bool) -> np.ndarray:
        """What brightness alone tells quickly: False of pairs that differ at a pixel by more than moving could mend.

        Pixels of which a channel may have been cut off are not looked at.
        """

        def both(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            one, other = values[pairs[:, 0]][..., None], values[pairs[:, 1]][..., None]
            return one, other[:, :, ::-1] if mirrored else other

        inside = _enough(np.logical_and(*both(self._inside_NHW)))
        one, other = both(self._grey_NHW)
        moved = OF_RANGE_IF_MOVED * np.minimum(*both(self._range_NHW))

        def within(first: np.ndarray, second: np.ndarray, contrast_N: np.ndarray) -> np.ndarray:
            difference = np.abs(_exposed_as(first, second, inside) - second)
            small = difference <= moved + OF_CONTRAST * contrast_N[:, None, None, None]
            return np.asarray((small | ~inside).all((1, 2, 3)))

        contrast_one, contrast_other = self._contrast_N[pairs.T]
        return within(one, other, contrast_other) | within(other, one, contrast_one)


def _within(one_NHWC: np.ndarray, other_NHWC: np.ndarray, range_NHW: np.ndarray) -> np.ndarray:
    contrast_N = contrast(other_NHWC)
    limit_NHW = OF_CONTRAST * contrast_N[:, None, None] + OF_RANGE * range_NHW
    exposed_NHWC = _exposed_as(one_NHWC, other_NHWC, _inside(one_NHWC, other_NHWC))
    within_N: np.ndarray = np.zeros(len(one_NHWC), bool)
    for shown_NHWC in (exposed_NHWC, _moved_onto(exposed_NHWC, other_NHWC)):
        difference_NHW = _difference(shown_NHWC, other_NHWC)
        small_N = difference_NHW.mean((1, 2)) <= ON_AVERAGE * contrast_N
        within_N |= small_N & (difference_NHW <= limit_NHW).all((1, 2))
    return within_N


def _difference(one_NHWC: np.ndarray, other_NHWC: np.ndarray) -> np.ndarray:
    """The difference (N, H, W) at each pixel: of its brightness, and of the colour around it, which JPEG blurs."""
    difference_NHWC = one_NHWC - other_NHWC
    grey_NHW = difference_NHWC @ LUMA
    colour_NHWC = uniform_filter(difference_NHWC - grey_NHW[..., None], (1, 3, 3, 1))
    difference_NHW: np.ndarray = np.abs(grey_NHW) + np.abs(colour_NHWC).mean(-1)
    return difference_NHW


def _moved_onto(one_NHWC: np.ndarray, other_NHWC: np.ndarray) -> np.ndarray:
    """The first pictures shifted and scaled a little, to be as like the second as that makes them.

    A picture cut at its edges is shifted and enlarged. To first order, that adds dx, dy and ds times the derivatives of
    a picture along x, along y and with its size: least squares, over the brightness (Lucas and Kanade 1981).
    """
    middle = (SIDE - 1) / 2
    y, x = (np.mgrid[:SIDE, :SIDE].astype(np.float32) - middle) / middle

    def derivatives(images_NHWC: np.ndarray) -> np.ndarray:
        along_y, along_x = np.gradient(images_NHWC, axis=(1, 2))
        return np.stack([along_x, along_y, along_x * x[..., None] + along_y * y[..., None]], axis=1)

    slopes = derivatives((one_NHWC @ LUMA)[..., None]).reshape(len(one_NHWC), 3, -1)  # (N, 3, H W)
    missing = ((other_NHWC - one_NHWC) @ LUMA).reshape(len(one_NHWC), -1, 1)  # (N, H W, 1)
    squares = slopes @ slopes.transpose(0, 2, 1) + np.eye(3, dtype=np.float32)
    moves = np.linalg.solve(squares, slopes @ missing)[..., 0].clip(-FARTHEST, FARTHEST)  # (N, 3)
    moved: np.ndarray = one_NHWC + np.einsum("nk,nkhwc->nhwc", moves, derivatives(one_NHWC))
    return moved


def _range(images_NHWC: np.ndarray) -> np.ndarray:
    """The largest less the smallest value of the 3 x 3 pixels around each, (N, H, W, C)."""
    largest = least = np.pad(images_NHWC, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    largest = np.maximum.reduce([largest[:, row : row + SIDE] for row in range(3)])
    largest = np.maximum.reduce([largest[:, :, column : column + SIDE] for column in range(3)])
    least = np.minimum.reduce([least[:, row : row + SIDE] for row in range(3)])
    least = np.minimum.reduce([least[:, :, column : column + SIDE] for column in range(3)])
    return largest - least


def _inside(one_NHWC: np.ndarray, other_NHWC: np.ndarray) -> np.ndarray:
    """Where neither picture is cut off at black or white; everywhere if that leaves less than a tenth."""
    return _enough((np.minimum(one_NHWC, other_NHWC) > DARK) & (np.maximum(one_NHWC, other_NHWC) < BRIGHT))


def _enough(inside: np.ndarray) -> np.ndarray:
    whole: np.ndarray = inside | (inside.mean((1, 2, 3)) < 0.1)[:, None, None, None]
    return whole


def _exposed_as(one_NHWC: np.ndarray, other_NHWC: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The first pictures with the brightness and contrast of the second, measured inside, as far as a copy's differ."""
    mean_one, deviation_one = _moments(one_NHWC, inside)
    mean_other, deviation_other = _moments(other_NHWC, inside)
    # Of less than three grey levels of deviation, the ratio is noise.
    measured = np.minimum(deviation_one, deviation_other) > 3
    gain = np.where(measured, deviation_other / np.maximum(deviation_one, 1), 1).clip(1 / GAIN, GAIN)
    shift = (mean_other - gain * mean_one).clip(-SHIFT, SHIFT)
    exposed: np.ndarray = (gain * one_NHWC + shift).clip(0, 255)
    return exposed


def _moments(images_NHWC: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the pixels that are inside, (N, 1, 1, 1) each."""
    count = np.maximum(inside.sum((1, 2, 3), keepdims=True), 1)
    mean = (images_NHWC * inside).sum((1, 2, 3), keepdims=True) / count
    variance = ((images_NHWC - mean) ** 2 * inside).sum((1, 2, 3), keepdims=True) / count
    return mean, np.sqrt(variance)
