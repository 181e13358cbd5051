"""What a source segmenter sees in target images, as evidence on their scale and polarity."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from histobridge.core.enclosure import certainty_of_prediction, enclosure_score
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.images.working import Window, WorkingImage, zoom_of
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.scale import pixel_sizes, reference_class, typical_diameter

if TYPE_CHECKING:
    from histobridge.core.segment.model import Segmenter

SWEEP = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Working pixels per common native pixel that are tried first; object size settles the rest."""
SETTLING_STEPS = 4
REACH = 3.0
"""Factor by which object size may move the scale away from where the sweep ended."""
SETTLED = 0.03
"""Change of the logarithm of the scale at which it is settled."""
CROP_PX = 384
EMPTY = 0.25
"""Deviation of the grey values, as a share of the liveliest part of the image, below which a part is empty."""
SMALLEST_PX = 48
MOST_ENLARGED = 32.0
"""Working pixels per native pixel beyond which a scale is a slip of units."""
OBJECTS_ACROSS = 4
"""Objects that must have room along the shorter side of an image for a scale to be tried on it."""
CLEAR_DIFFERENCE = 0.05
"""Difference of two scores at which an image prefers one clearly (73 %)."""

CERTAIN = 0.8
"""Below this certainty of the polarity the user is asked."""
NEEDED = {"enclosure": 0.0, "entropy": float("inf")}
"""Certainty without which grey values are not inverted: entropy hardly tells the polarity, so the user has to."""

Polarity = Literal["keep", "invert"]
POLARITIES: tuple[Polarity, ...] = ("keep", "invert")


@dataclass(frozen=True, slots=True)
class _Sight:
    """What is seen in one image at one scale and polarity."""

    score: float
    certainty: float
    diameter: float


class Judge:
    """Predicts crops of the target under both polarities and scores what comes out.

    Parameters
    ----------
    project : Project
    segmenter : Segmenter
        Of the source.
    records : list of ImageRecord
        Target images to look at.
    score : {"auto", "enclosure", "entropy"}
        ``auto`` is enclosure where the segmenter knows a nested pair of classes.

    Raises
    ------
    ProjectError
        If there are no records.
    InputError
        If enclosure is asked for without a nested pair.
    """

    def __init__(
        self,
        project: Project,
        segmenter: "Segmenter",
        records: list[ImageRecord],
        score: Literal["auto", "enclosure", "entropy"],
    ):
        if not records:
            raise ProjectError("there are no target images yet; add some on the Images page")
        self._project, self._segmenter, self._records = project, segmenter, records
        channels = {value: number for number, value in enumerate(segmenter.card.values, start=1)}
        nested = [channels.get(spec.value, 0) for spec in project.manifest.nested_pair() or ()]
        self._pair = (nested[0], nested[1]) if nested and all(nested) else None
        if score == "enclosure" and self._pair is None:
            raise InputError("score: enclosure needs a learned class that lies inside another one; use `entropy`")
        self.score: Literal["enclosure", "entropy"] = "entropy" if score == "entropy" or not self._pair else "enclosure"
        reference = reference_class(project.manifest, "source")
        if reference.value not in channels:
            raise ProjectError(f"the segmenter has not learned class {reference.name!r}; learn the source labels again")
        self._reference = channels[reference.value]
        self._scaled = [record.id for record in records if record.zoom_override is None]
        self._seen: dict[float, dict[str, dict[Polarity, _Sight]]] = {}

    def images(self, working_um: float) -> dict[str, WorkingImage]:
        """Open the images at a scale; those that become too small are left out unless all are."""
        opened = {
            record.id: WorkingImage(self._project.pixels(record.id), zoom_of(record, working_um))
            for record in self._records
        }
        large = {name: image for name, image in opened.items() if min(image.shape) >= SMALLEST_PX}
        return large or opened

    def sweep(self) -> list[float]:
        """Scales to try first, in µm per working pixel, around the common pixel size of the images.

        Where few objects have room, one seen by mistake decides; such scales are left out. Without a nested pair it is
        the scale of the source alone: a network is the surer the smaller it sees things, and in tissue that it does not
        know it sees pieces of objects. Empty if the user has set the zoom of every image.
        """
        sizes = pixel_sizes(self._records)
        records = [record for record in self._records if record.id in self._scaled]
        if not records:
            return []
        if self.score == "entropy":
            return [self._segmenter.card.working_um]
        common = float(np.median([sizes[record.id] for record in records]))
        needed = OBJECTS_ACROSS * self._segmenter.card.object_diameter_px
        candidates = [common / zoom for zoom in SWEEP]
        fits = [
            candidate
            for candidate in candidates
            if np.median([min(record.shape) * zoom_of(record, candidate) for record in records]) >= needed
        ]
        return fits or [common]

    def possible(self, working_um: float, found: str, remedy: str = "give it in µm, and check") -> float:
        """Return a scale, unless images would be smaller than an object with it, or huge: raise `InputError` then.

        The message begins with what was found, and its remedy ends before "the pixel size of the image".
        """
        needed = self._segmenter.card.object_diameter_px
        for record in self._records:
            zoom = zoom_of(record, working_um)
            if record.zoom_override is None and (zoom > MOST_ENLARGED or min(record.shape) * zoom < needed):
                high, wide = (max(1, round(side * zoom)) for side in record.shape)
                raise InputError(
                    f"{found}, which makes {record.id} {wide} x {high} pixels at the working scale, where "
                    f"objects have {needed:.0f}; {remedy} the pixel size of the image, "
                    f"{record.pixel_size_um or 0:g} µm"
                )
        return working_um

    def set_scale(self) -> float | None:
        """µm per working pixel behind the zooms the user has set, median over the images; none if unknown."""
        pairs = [(record.pixel_size_um, record.zoom_override) for record in self._records]
        known = [size / zoom for size, zoom in pairs if size is not None and zoom is not None]
        return float(np.median(known)) if known else None

    def fit(self, working_um: float, polarity: Literal["auto", "keep", "invert"]) -> float:
        """How well a scale fits, under the better polarity if `auto`: score times certainty, mean over the images."""
        tried: tuple[Polarity, ...] = ("keep", "invert") if polarity == "auto" else (polarity,)
        sights = self._sights(working_um)
        return max(float(np.mean([sight[one].score * sight[one].certainty for sight in sights])) for one in tried)

    def diameter(self, working_um: float, polarity: Literal["auto", "keep", "invert"]) -> float:
        """Median over the images of the typical object diameter in working pixels; NaN if there are no objects."""
        chosen: Polarity = "keep"
        if polarity == "invert" or (polarity == "auto" and self.decide(working_um)[0]):
            chosen = "invert"
        diameters = [sight[chosen].diameter for sight in self._sights(working_um)]
        finite = [diameter for diameter in diameters if np.isfinite(diameter)]
        return float(np.median(finite)) if finite else float("nan")

    def decide(self, working_um: float) -> tuple[bool, float]:
        """Decide on the polarity at a scale, see `decide`."""
        return decide(self.scores(working_um), NEEDED[self.score])

    def scores(self, working_um: float) -> dict[str, dict[Polarity, float]]:
        """Score of each image under both polarities."""
        return {
            name: {polarity: sight.score for polarity, sight in sights.items()}
            for name, sights in self._look(working_um).items()
        }

    def _sights(self, working_um: float) -> list[dict[Polarity, _Sight]]:
        """What is seen in the images that the scale is sought for."""
        sights = self._look(working_um)
        return [sight for name, sight in sights.items() if name in self._scaled] or list(sights.values())

    def _look(self, working_um: float) -> dict[str, dict[Polarity, _Sight]]:
        if working_um not in self._seen:
            self._seen[working_um] = {
                name: {polarity: self._see(image, polarity) for polarity in POLARITIES}
                for name, image in self.images(working_um).items()
            }
        return self._seen[working_um]

    @property
    def values(self) -> NDArray[np.uint8]:
        """Class value of each channel of a prediction; 0 is background."""
        return np.array([0, *self._segmenter.card.values], np.uint8)

    def predict(
        self, image: WorkingImage, window: Window, polarity: Polarity
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Bring a window to the look of the source, and see what is in it: (Y, X) in [-1, 1], (C, Y, X) in [0, 1]."""
        import torch

        from histobridge.core.translate.instant import Instant

        look = self._segmenter.card.quantiles
        instant = Instant(polarity == "invert", look, look)
        crop = instant.translate(image.read(window), "target_to_source", image.look)
        return crop, self._segmenter.probabilities(torch.from_numpy(crop)[None, None])[0].cpu().numpy()

    def _see(self, image: WorkingImage, polarity: Polarity) -> _Sight:
        return self._judge(self.predict(image, eventful(image, CROP_PX), polarity)[1])

    def _judge(self, probabilities: NDArray[np.float32]) -> _Sight:
        channels = probabilities.argmax(axis=0).astype(np.uint8)
        certainty = certainty_of_prediction(probabilities)
        if self.score == "enclosure" and self._pair:
            score = enclosure_score(channels, *self._pair)
        else:
            # Seeing no objects anywhere is certain, too: weigh by how much is seen of them.
            score = certainty * min(1.0, float((channels == self._reference).mean()) / 0.02)
        return _Sight(score, certainty, typical_diameter(channels == self._reference))


def decide(scores: dict[str, dict[Polarity, float]], needed: float = 0.0) -> tuple[bool, float]:
    """Decide on the polarity.

    Parameters
    ----------
    scores : dict
        Of each image, its score as ``keep`` and as ``invert``.
    needed : float
        Certainty below which grey values are kept as they are, even if inverting them leads.

    Returns
    -------
    invert : bool
    certainty : float
        Mean over the images of ``1 / (1 + exp(-d / 0.05))``, d the lead of the chosen polarity.
    """
    leads = np.array([score["invert"] - score["keep"] for score in scores.values()])
    inverting = float(np.mean(1 / (1 + np.exp(-leads / CLEAR_DIFFERENCE))))
    invert = bool(leads.mean() > 0) and inverting >= needed
    return invert, inverting if invert else 1 - inverting


def eventful(image: WorkingImage, side: int) -> Window:
    """Choose the window to look at: the middle, or the liveliest of the four quarters where the middle is empty."""
    middle = image.centre(side)
    if max(image.shape) <= side:
        return middle
    starts = [[max(0, size * part // 4 - side // 2) for part in (1, 3)] for size in image.shape]
    quarters = [
        (slice(row, min(row + side, image.shape[0])), slice(column, min(column + side, image.shape[1])))
        for row in starts[0]
        for column in starts[1]
    ]
    deviations = {index: float(image.read(window).std()) for index, window in enumerate([middle, *quarters])}
    liveliest = max(deviations, key=deviations.__getitem__)
    return [middle, *quarters][liveliest] if deviations[0] < EMPTY * deviations[liveliest] else middle


def labelled_window(image: WorkingImage, known: NDArray[np.bool_], side: int) -> Window:
    """Choose the window to compare with labels: that of `eventful`, or the one with most of them if another has more.

    Parameters
    ----------
    image : WorkingImage
    known : ndarray, (Y, X) bool
        Where it has labels, at the working scale.
    side : int
        Pixels, as for `eventful`.
    """
    window = eventful(image, side)
    if known[window].all():
        return window
    high, wide = (part.stop - part.start for part in window)
    sums = np.pad(known.astype(np.int32), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    counts = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    if counts[window[0].start, window[1].start] == counts.max():
        return window
    row, column = (int(at) for at in np.unravel_index(counts.argmax(), counts.shape))
    return slice(row, row + high), slice(column, column + wide)


def spread(records: list[ImageRecord], count: int) -> list[ImageRecord]:
    """Choose at most `count` images, subjects taking turns."""
    turns: Counter[str] = Counter()
    order = []
    for record in records:
        order.append(turns[record.subject])
        turns[record.subject] += 1
    return [records[number] for number in sorted(range(len(records)), key=order.__getitem__)][:count]
