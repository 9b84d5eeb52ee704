"""Pictures that worker processes decode while the first of them are read already: nobody waits for the last one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.decoding import Decoded
from bench.data.picture import Fit
from bench.data.picture_pile import Pile, Places, refuse_bad
from bench.files.memory_map import allocated, rows
from bench.machine.workers import Workers

REMEDY = "mend or remove them"


class DecodedAhead:
    """Rows of a pile as images (N, R, R, 3) uint8, decoded in their order into a file; what is taken is a copy.

    It has what a scorer asks of images: length, shape, dtype, and slices, which wait until their pictures are decoded.
    Use it as a context manager: decoding begins with it and ends with it. A picture that cannot be decoded is a
    UserError (bench.data.picture_pile.BadPicturesError) that names all such pictures: where a slice has one, and at the
    latest at the end of the context.
    """

    def __init__(self, pile: Pile, chosen: np.ndarray, resolution: int, fit: Fit, workers: Workers, file: Path) -> None:
        self.shape, self.dtype, self.ndim = (len(chosen), resolution, resolution, 3), np.dtype(np.uint8), 4
        self._pile, self._fit, self._workers = pile, fit, workers
        self._places = Places(pile.items, chosen, np.arange(len(chosen)))
        self._array = allocated(file, self.shape, self.dtype)
        self._settled = np.zeros(len(chosen), bool)  # decoded, or known to be impossible
        self._ready = 0  # how many from the first on are settled
        self._ended = self._stop = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._decode, name="decoding", daemon=True)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: slice) -> np.ndarray:
        """A copy (n, R, R, 3) of some rows that follow one another, once they are decoded."""
        start, stop, step = key.indices(len(self))
        if step != 1:
            raise ValueError(f"a step of {step}; rows are read in their order")
        with self._changed:
            self._changed.wait_for(lambda: self._ready >= stop or self._ended)
        if self._pile.bad or self._error is not None:
            self._finish()
        return rows(self._array, np.arange(start, max(start, stop)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("decoded pictures are always a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def whole(self) -> np.ndarray:
        """All of them as a memory map, to be read as long as the context lasts, once the last one is decoded."""
        self._finish()
        return self._array

    def __enter__(self) -> DecodedAhead:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._finish()
        with self._changed:
            self._stop = True
        self._thread.join()

    def _finish(self) -> None:
        """Wait for the last picture; raise what decoding raised, or name the pictures that could not be decoded."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        refuse_bad(self._pile, REMEDY)

    def _decode(self) -> None:
        try:
            self._pile.decode(self._array, self._places, self._workers, "", self._fit, noted=self._note)
        except _StoppedError:
            pass
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _note(self, numbers: np.ndarray, decoded: Decoded) -> None:
        with self._changed:
            if self._stop:
                raise _StoppedError
            self._settled[numbers] = True
            while self._ready < len(self) and self._settled[self._ready]:
                self._ready += 1
            self._changed.notify_all()


class _StoppedError(Exception):
    """Nobody needs the other pictures."""
