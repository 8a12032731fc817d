"""Vectors that several tasks ask for, computed once while they fit."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np


class VectorCache:
    """Arrays by key. The least recently used ones go when all together exceed `limit` bytes; an
    array beyond the limit is not kept at all."""

    def __init__(self, limit: int = 1 << 30):
        self.limit, self.bytes = limit, 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of `key`, computed where it is not there."""
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        array = compute()
        if array.nbytes <= self.limit:
            self._arrays[key] = array
            self.bytes += array.nbytes
        while self.bytes > self.limit:
            self.bytes -= self._arrays.popitem(last=False)[1].nbytes
        return array
