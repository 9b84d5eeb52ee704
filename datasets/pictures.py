"""Pictures from any source as a data set: every item accounted for, a deterministic split, one resize recipe.

Without options all pictures must be squares of one size. Options of a catalogue entry, beside those of its layout and
those that divide (bench.datasets.splits):

crop: center             any shape; the centre square is taken
fit: stretch             any shape; the whole picture is resized to a square, its proportions lost, as FastGAN's
                         released code does (the default is `fit: centre`)
fit: center-crop         any shape; the shorter side is resized, then the centre cut out, as torchvision does
pictures: 70000          so many must be there, copies and bad ones counted: a release that is not complete is refused
small: enlarge           pictures of fewer pixels than the set's are resized like any other; else they are refused
duplicates: bytes        copies of a file count once; the default is pixels: so do pictures with the same pixels
duplicates: keep         every picture counts, as in a release whose counts are known
near_duplicates: together    copies that were re-encoded, resized or cut a little never stand in both splits
near_duplicates: ignore      they are pictures like any other, as without the option
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.data.builder import Order, Splits
from bench.data.picture_pile import look_through, refuse_bad
from bench.data.sources.item_table import Chosen, ItemTable
from bench.data.sources.opening import open_source
from bench.data.sources.source import Source
from bench.errors import UserError
from bench.machine.workers import Workers

from .common.picture_copies import Copies, divide_apart, refuse_shared
from .common.picture_options import RECIPES, check_options, fit_of, refuse_incomplete
from .common.picture_rows import attributes_of, check_sizes, decode_all, labels_of, write_rows
from .layouts.arrangement import DEFAULT, Arranged, layout
from .layouts.image_folder import classes_of, lost_classes
from .splits import refuse_few


def build(order: Order) -> Splits:
    """Splits from `order.source`: those of its publisher or its folders as they are, else test pictures at random.

    Pictures are known by their content, sorted by name and shuffled. Whatever is not taken is counted. Raises
    UserError naming all that are damaged, too small or of another size (more than `order.bad_allowed`), a link out of
    the source, and a source that holds too few.
    """
    return assemble(order, order.entry.options)


def assemble(order: Order, options: Mapping[str, Any]) -> Splits:
    """`build` with these options in place of the entry's."""
    # Look through the source.
    check_options(order, options)
    assert order.source is not None, "bench.data.building.build asks for a path"
    source = open_source(order.source, order.scratch)
    arranged = _arranged(order, source, options)
    items = arranged.items if isinstance(arranged.items, ItemTable) else ItemTable(arranged.items)
    if (twice := items.first_repeated()) is not None:
        raise ValueError(f"layout {order.entry.layout or DEFAULT} has {twice} twice, and thus another item not at all")
    if order.share_asked and any(items.splits()[1]):
        raise UserError(f"{source.path}: has a training and a test split of its own; leave out --test-share")
    with Workers(order.jobs) as workers:
        pile = look_through(source, items, workers, order.name)
        pile.left_out.update(source.left_out + arranged.left_out)
        found = len(items) + source.left_out.total() + arranged.left_out.total()
        check_sizes(order, options, pile)
        refuse_incomplete(options, pile)

        # Decode every picture that may be used; only then is it known which are damaged.
        copies = Copies(options, items)
        chosen = copies.without_equal_bytes(pile, workers, order.name)
        if len(pile.bad) <= order.bad_allowed:
            refuse_few(len(chosen), options, order.entry.train, order.entry.test, str(order.source))
        decoded = decode_all(order, chosen, pile, workers, options)
    refuse_bad(pile, "--skip-bad leaves them out", f"for '{order.name}'", order.bad_allowed)

    # Divide them into splits, no copy of a training picture in test.
    pictures = Chosen(items, copies.without_equal_pixels(decoded))
    if not len(pictures):
        told = pile.told()
        raise UserError(f"{source.path}: no picture that can be used was found{f' ({told})' if told else ''}")
    default = order.entry.layout in (None, DEFAULT)
    class_names = arranged.class_names or (classes_of(pictures) if default else ())
    divided, groups = divide_apart(order, options, pictures, decoded)
    if options.get("duplicates") != "keep" and not divided.overlap:
        refuse_shared(divided, pictures, decoded, pile)
    train_rows, test_rows = pictures.rows[divided.train], pictures.rows[divided.test]
    train = write_rows(order, "train", decoded, train_rows)
    test = train if divided.overlap else write_rows(order, "test", decoded, test_rows)

    # Account for every item.
    used = train_rows if divided.overlap else np.concatenate([train_rows, test_rows])
    pile.animated = int(pile.looks["animated"][used].sum())
    pile.left_out.update(copies.left_out)
    pile.left_out["not drawn"] += divided.unused
    pile.left_out["copies of training pictures"] += len(pictures) - len(used) - divided.unused
    if found != len(used) + pile.left_out.total() + len(pile.bad):
        raise AssertionError(
            f"{found} items found, not all of which are accounted for: {len(used)} used, {pile.told()}"
        )
    return Splits(
        train=train,
        test=test,
        licence_text=f"{order.entry.licence}\nSource: {order.entry.source}\nPictures read from {source.path}",
        overlap=divided.overlap or options.get("duplicates") == "keep",
        train_labels=labels_of(items, train_rows, class_names),
        test_labels=labels_of(items, test_rows, class_names),
        class_names=class_names,
        train_attributes=attributes_of(items, train_rows, arranged.attribute_names),
        test_attributes=attributes_of(items, test_rows, arranged.attribute_names),
        attribute_names=arranged.attribute_names,
        notes={
            "resize": RECIPES[fit_of(options)],
            "files found": found,
            "files used": len(used),
            "left out": pile.told(),
            "lost classes": lost_classes(pictures) if default and not class_names else "",
            "bad": pile.bad_lines(),
            "copies": copies.lines(groups, pile),
        },
    )


def _arranged(order: Order, source: Source, options: Mapping[str, Any]) -> Arranged:
    """The items that the entry's layout takes from a source; every other one is counted."""
    offered = ItemTable(source.items())
    arranged = layout(order.entry.layout or DEFAULT)(source, offered, options)
    if len(offered) != len(arranged.items) + arranged.left_out.total():
        raise ValueError(f"layout {order.entry.layout or DEFAULT} does not account for all of {len(offered)} items")
    return arranged
