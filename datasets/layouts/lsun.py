"""One category of LSUN: the database CATEGORY_train_lmdb, or the tree of pictures that LSUN's script makes of it.

The export lies in nested folders of one hexadecimal digit each, which mean nothing. The 300 validation pictures and
the test pictures of all categories are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.item_table import ItemTable
from bench.data.sources.source import Item, Source

from .arrangement import Arranged
from .file_names import folders

NOT_TRAINING = re.compile(r"(?:.*_)?(?:val|test)(?:_lmdb)?")


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every picture of the training database."""
    training = ItemTable(item for item in items if not any(map(NOT_TRAINING.fullmatch, folders(item))))
    return Arranged(training, left_out=Counter({"of the validation or test database": len(items) - len(training)}))
