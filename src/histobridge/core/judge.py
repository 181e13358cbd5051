"""What a source segmenter sees in target images, as evidence on their scale and polarity."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from histobridge.core.enclosure import certainty_of_prediction, enclosure_score
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.images.working import WorkingImage, zoom_of
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.scale import reference_class, typical_diameter

if TYPE_CHECKING:
    from histobridge.core.segment.model import Segmenter

SWEEP = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Working pixels per common native pixel that are tried first; object size settles the rest."""
SETTLING_STEPS = 4
SETTLED = 0.03
"""Change of the logarithm of the scale at which it is settled."""
CROP_PX = 384
SMALLEST_PX = 48
CLEAR_DIFFERENCE = 0.05
"""Difference of two scores at which an image prefers one clearly (73 %)."""

Polarity = Literal["keep", "invert"]


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
        pair = project.manifest.nested_pair()
        channels = {name: number for number, name in enumerate(segmenter.card.classes, start=1)}
        self._pair = (channels[pair[0].name], channels[pair[1].name]) if pair and pair[1].name in channels else None
        if score == "enclosure" and self._pair is None:
            raise InputError("score: enclosure needs a class that lies inside another; use `entropy`")
        self.score: Literal["enclosure", "entropy"] = "entropy" if score == "entropy" or not self._pair else "enclosure"
        self._reference = channels[reference_class(project.manifest).name]
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
        """Scales to try first, in µm per working pixel, around the common pixel size of the images."""
        sizes = [record.pixel_size_um for record in self._records if record.pixel_size_um is not None]
        if len(sizes) < len(self._records):
            missing = [record.id for record in self._records if record.pixel_size_um is None]
            raise ProjectError(f"no pixel size for {', '.join(missing)}; enter it in µm on the Images page")
        common = float(np.median(sizes))
        candidates = [common / zoom for zoom in SWEEP]
        fits = [
            candidate
            for candidate in candidates
            if min(min(record.shape) * zoom_of(record, candidate) for record in self._records) >= SMALLEST_PX
        ]
        return fits or [common]

    def fit(self, working_um: float) -> float:
        """How well a scale fits under the better polarity: score times certainty, mean over the images."""
        sights = self._look(working_um).values()
        return max(
            float(np.mean([sight[polarity].score * sight[polarity].certainty for sight in sights]))
            for polarity in ("keep", "invert")
        )

    def diameter(self, working_um: float, polarity: Literal["auto", "keep", "invert"]) -> float:
        """Median over the images of the typical object diameter in working pixels; NaN if there are no objects."""
        sights = self._look(working_um)
        chosen: Polarity = "keep"
        if polarity == "invert" or (polarity == "auto" and decide(self.scores(working_um))[0]):
            chosen = "invert"
        diameters = [sight[chosen].diameter for sight in sights.values()]
        finite = [diameter for diameter in diameters if np.isfinite(diameter)]
        return float(np.median(finite)) if finite else float("nan")

    def scores(self, working_um: float) -> dict[str, dict[Polarity, float]]:
        """Score of each image under both polarities."""
        return {
            name: {polarity: sight.score for polarity, sight in sights.items()}
            for name, sights in self._look(working_um).items()
        }

    def _look(self, working_um: float) -> dict[str, dict[Polarity, _Sight]]:
        if working_um not in self._seen:
            self._seen[working_um] = {
                name: {"keep": self._see(image, False), "invert": self._see(image, True)}
                for name, image in self.images(working_um).items()
            }
        return self._seen[working_um]

    def _see(self, image: WorkingImage, invert: bool) -> _Sight:
        import torch

        from histobridge.core.translate.instant import Instant

        look = self._segmenter.card.quantiles
        instant = Instant(invert, look, look)
        crop = instant.translate(image.read(image.centre(CROP_PX)), "target_to_source", image.look)
        probabilities = self._segmenter.probabilities(torch.from_numpy(crop)[None, None])[0].cpu().numpy()
        return self._judge(probabilities)

    def _judge(self, probabilities: NDArray[np.float32]) -> _Sight:
        channels = probabilities.argmax(axis=0).astype(np.uint8)
        certainty = certainty_of_prediction(probabilities)
        if self.score == "enclosure" and self._pair:
            score = enclosure_score(channels, *self._pair)
        else:
            # Seeing nothing anywhere is certain, too: weigh by how much is seen.
            score = certainty * min(1.0, float((channels > 0).mean()) / 0.02)
        return _Sight(score, certainty, typical_diameter(channels == self._reference))


def decide(scores: dict[str, dict[Polarity, float]]) -> tuple[bool, float]:
    """Decide on the polarity.

    Parameters
    ----------
    scores : dict
        Of each image, its score as ``keep`` and as ``invert``.

    Returns
    -------
    invert : bool
    certainty : float
        Mean over the images of ``1 / (1 + exp(-d / 0.05))``, d the lead of the chosen polarity.
    """
    leads = np.array([score["invert"] - score["keep"] for score in scores.values()])
    invert = bool(leads.mean() > 0)
    return invert, float(np.mean(1 / (1 + np.exp(-(leads if invert else -leads) / CLEAR_DIFFERENCE))))


def spread(records: list[ImageRecord], count: int) -> list[ImageRecord]:
    """Choose at most `count` images, subjects taking turns."""
    turns: Counter[str] = Counter()
    order = []
    for record in records:
        order.append(turns[record.subject])
        turns[record.subject] += 1
    return [records[number] for number in sorted(range(len(records)), key=order.__getitem__)][:count]
