"""What the values of a mask file mean, told from the values and the class table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from histobridge.core.images.problem import FileError
from histobridge.core.manifest import IGNORE, ClassSpec

Counts = Mapping[int, int]
Table = dict[int, int]

LOW, HIGH = 64, 191
"""Grey levels that part 0, 127 and 255; strays of compression and editing lie nearer to one of them."""

NEAR = 8
"""Grey values this close to 127.5 or 255 count as meant."""

MEANT = 0.9
"""Share of the pixels that are not 0 that must be meant."""


STRAY = 0.01
"""Share of the 1 among the 1 and 255 of a binary file up to which they are strays of editing."""


def label_table(
    path: Path,
    counts: Counts,
    classes: Sequence[ClassSpec],
    mask_values: Mapping[int, int],
    beside: Callable[[int], bool] = lambda _: False,
) -> Table:
    """Tell what the values of a label map mean.

    Parameters
    ----------
    path : Path
        For messages.
    counts : mapping of int to int
        Value -> number of pixels.
    classes : sequence of ClassSpec
    mask_values : mapping of int to int
        Value -> class value, given by the user; empty: told from `counts`.
    beside : callable
        Whether files beside this one have a value, which makes them label maps and 255 unlabelled; else a file of 0 and
        255 is the only class in white. Asked in doubt alone.

    Returns
    -------
    dict
        Value -> 0, a class value, or 255 for unlabelled.

    Raises
    ------
    FileError
        If a value is no class, or if it stays open which class is meant.
    """
    known = {0, IGNORE, *(spec.value for spec in classes)}
    if mask_values:
        return _given_table(path, counts, known, mask_values)
    if _is_wide(counts):
        narrowed = {value // 257: count for value, count in counts.items()}
        narrow = label_table(path, narrowed, classes, mask_values, beside)
        return {257 * value: meaning for value, meaning in narrow.items()}
    if {value for value in counts if value} == {IGNORE}:
        if len(classes) == 1:
            return {0: 0, IGNORE: IGNORE if beside(classes[0].value) else classes[0].value}
        found = f"has only the values {_listed(counts)}, which may be any of {_named(classes)}"
        remedy = f"end its name on the class, such as -{classes[0].name}, or say `mask_values`"
        raise FileError(path, found, remedy if classes else "add a class to the project")
    if known.issuperset(counts):
        return {value: value for value in counts}
    numbered = any(0 < value < LOW and value in known for value in counts)
    if not numbered and any(map(_is_middle, counts)) and _has_three_levels(counts):
        return pair_table(path, counts, classes)
    unknown = [value for value in counts if value not in known]
    found = f"has values that are no class: {_listed(unknown)} (classes: {_named(classes)})"
    raise FileError(
        path, found, "say what they mean in `mask_values` (such as 7=0 for background), or add a class with that value"
    )


def _given_table(path: Path, counts: Counts, known: set[int], mask_values: Mapping[int, int]) -> Table:
    """Check the user's table against the file and the classes."""
    table = {0: 0, **mask_values}
    unknown = [value for value in counts if value not in table]
    if unknown:
        found = f"has values that `mask_values` does not name: {_listed(unknown)}"
        raise FileError(path, found, "add them to `mask_values`, with 0 for background or 255 for unlabelled")
    wrong = sorted({meaning for meaning in table.values() if meaning not in known})
    if wrong:
        found = f"`mask_values` leads to {_listed(wrong)}, which are no classes of the project in this domain"
        raise FileError(path, found, "add a class with that value, or change `mask_values`")
    return table


def pair_table(path: Path, counts: Counts, classes: Sequence[ClassSpec]) -> Table:
    """Tell what the values of a 0/127/255 file mean, see `pair_of`; stray values go to the nearest of the three."""
    if _is_wide(counts):
        narrow = pair_table(path, {value // 257: count for value, count in counts.items()}, classes)
        return {257 * value: meaning for value, meaning in narrow.items()}
    if not _has_three_levels(counts):
        raise FileError(path, f"should hold 0, 127 and 255, but has {_listed(counts)}", "save it as a label map")
    inner, outer = pair_of(path, classes)
    return {value: 0 if value < LOW else outer if value < HIGH else inner for value in counts}


def pair_of(path: Path, classes: Sequence[ClassSpec]) -> tuple[int, int]:
    """Return the class values of 255 and of 127: a class and the one it lies inside of, else the first two.

    Source: AxonDeepSeg writes axons as 255 and myelin as 127.
    """
    values = {spec.name: spec.value for spec in classes}
    nested = [(spec.value, values[spec.inside]) for spec in classes if spec.inside in values]
    if nested:
        return nested[0]
    if len(classes) < 2:
        found = f"is a 0/127/255 file of two classes, the project has {_named(classes) or 'none'}"
        raise FileError(path, found, "add the other class, or say `mask_values`")
    return classes[0].value, classes[1].value


def binary_table(path: Path, counts: Counts, value: int) -> Table:
    """Tell which values of a binary file are the class `value`.

    Beside 0 the only other one; of 1 and 255 the first, the other being unlabelled, unless there are hardly any 1; else
    those from 128 on, if the file is black and white but for strays.

    Raises
    ------
    FileError
        If the values are neither, such as the numbers of single objects, or there are few 1 and many 255.
    """
    shown = {stored for stored in counts if stored}
    if len(shown) <= 1:
        return {stored: value if stored else 0 for stored in counts}
    if _is_wide(counts):
        narrow = binary_table(path, {stored // 257: count for stored, count in counts.items()}, value)
        return {257 * stored: meaning for stored, meaning in narrow.items()}
    if shown == {1, IGNORE}:
        return _ones_or_white(path, counts, value)
    top = 65535 if max(counts) > 255 else 255
    near = NEAR * top // 255
    white = sum(count for stored, count in counts.items() if top - stored <= near)
    black = sum(count for stored, count in counts.items() if stored <= near)
    everything = sum(counts.values())
    if not white or white + black < MEANT * everything or 2 * white < everything - black:
        found = f"should hold one class as 0 and 255, but has {_listed(counts)}"
        remedy = "save it as black and white (of numbered objects: every number from 1 on as 255)"
        raise FileError(path, found, f"{remedy}, or rename it if it is a label map")
    return {stored: value if 2 * stored > top else 0 for stored in counts}


def _ones_or_white(path: Path, counts: Counts, value: int) -> Table:
    """Tell by their numbers whether 1 is the class and 255 unlabelled, or 255 the class and 1 a stray."""
    share = counts[1] / (counts[1] + counts[IGNORE])
    if share <= STRAY:
        return {0: 0, 1: 0, IGNORE: value}
    if share < 1 - MEANT:
        found = f"has 1 in {counts[1]} and 255 in {counts[IGNORE]} pixels, and either may be the class"
        remedy = "save the class as 255 and all else as 0, or give it as a label map if 255 means unlabelled"
        raise FileError(path, found, remedy)
    return {0: 0, 1: value, IGNORE: IGNORE}


def _is_wide(counts: Counts) -> bool:
    """Whether 8 bit values were spread over 16 bit."""
    return max(counts) > 255 and all(value % 257 == 0 for value in counts)


def _has_three_levels(counts: Counts) -> bool:
    """Whether nearly all that is not background is close to 127 or 255."""
    meant = sum(count for value, count in counts.items() if _is_middle(value) or 255 - NEAR <= value <= 255)
    return meant >= MEANT * sum(count for value, count in counts.items() if value)


def _is_middle(value: int) -> bool:
    return abs(value - 127.5) <= NEAR


def _listed(values: Mapping[int, int] | Sequence[int]) -> str:
    """Write values, the first ten of them."""
    ordered = sorted(values)
    more = f" and {len(ordered) - 10} more" if len(ordered) > 10 else ""
    return ", ".join(map(str, ordered[:10])) + more


def _named(classes: Sequence[ClassSpec]) -> str:
    return ", ".join(f"{spec.value} {spec.name}" for spec in classes)
