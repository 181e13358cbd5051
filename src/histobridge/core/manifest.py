"""What a project file says: classes, images, active runs."""

from collections import Counter
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from histobridge.core.config import Config, Domain

SCHEMA_VERSION = 1
IGNORE = 255
"""Label value of unlabelled pixels in files and training targets."""

RunKind = Literal["segmenter", "matching", "translator", "proposals", "target_segmenter"]


class ClassSpec(Config):
    """One class of the labels."""

    name: str = Field(min_length=1)
    """Shown to the user and written to exports."""

    value: int = Field(ge=1, le=254)
    """Value in the label arrays; 0 is background and 255 unlabelled."""

    color: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")
    """Colour on the canvas."""

    inside: str = ""
    """Name of the class that encloses this one (myelin encloses axon); empty: none."""

    domains: tuple[Domain, ...] = ("source", "target")
    """Where the class occurs."""


MYELINATED_FIBRE = (
    ClassSpec(name="axon", value=1, color="#56B4E9", inside="myelin"),
    ClassSpec(name="myelin", value=2, color="#F0E442"),
)
"""Default classes; sky blue and yellow of Okabe and Ito's palette, the two with most contrast on grey."""


class ImageRecord(Config):
    """One 2-D image of the project."""

    model_config = ConfigDict(allow_inf_nan=False)

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Unique in the project; names the folders of the image and its labels."""

    domain: Domain
    """Source or target."""

    subject: str
    """Animal or patient. Scores are averaged by it; tiles held out may share it with those that train."""

    section: str = ""
    """Section or field of the subject."""

    shape: tuple[PositiveInt, PositiveInt]
    """(Y, X) in pixels."""

    dtype: Literal["uint8", "uint16"]
    """Of the pixels."""

    pixel_size_um: PositiveFloat | None = None
    """µm per pixel; none until the file or the user says so."""

    pixel_size_from: str = ""
    """Where the pixel size was read, or `user`."""

    zoom_override: PositiveFloat | None = None
    """Working pixels per native pixel, when the user sets it for this image; none: from the matching."""

    has_masks: bool = False
    """Whether labels came with the image."""

    origin: str = ""
    """The file the image came from, as the user named it."""

    sha256: str = ""
    """Of the file the image came from, or of the pixels for what is not one file."""

    reference: str = ""
    """Path or URL of an OME-Zarr group that is read where it lies; empty: pixels are in the project."""

    @property
    def source(self) -> tuple[str, str, str, str]:
        """What the image was made from: the same section of the same file, in the same domain, has the same."""
        return self.domain, self.origin, self.sha256, self.section


class Manifest(Config):
    """The project file `project.json`."""

    schema_version: int = SCHEMA_VERSION
    """Format of the folder."""

    name: str
    """Shown in the window."""

    classes: tuple[ClassSpec, ...] = MYELINATED_FIBRE
    """All classes, in the order of the number keys."""

    images: tuple[ImageRecord, ...] = ()
    """All images, in the order they were added."""

    active: dict[RunKind, str] = Field(default_factory=dict)
    """Runs chosen by hand; where none is, the latest finished one is active."""

    tile_px: PositiveInt = 1024
    """Longest side of a tile in native pixels; settled before anything is reviewed, since edits name their tile."""

    tile_overlap_px: NonNegativeInt = 128
    """Native pixels that neighbouring tiles share, at least; fewer than `tile_px`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [spec.name for spec in self.classes]
        values = [spec.value for spec in self.classes]
        ids = [record.id for record in self.images]
        for what, items in (("class name", names), ("class value", list(map(str, values))), ("image id", ids)):
            twice = sorted(item for item, count in Counter(items).items() if count > 1)
            if twice:
                raise ValueError(f"{what} used twice: {', '.join(twice)}")
        for spec in self.classes:
            if spec.inside and (spec.inside not in names or spec.inside == spec.name):
                raise ValueError(f"class {spec.name!r} lies inside {spec.inside!r}, which is not another class")
        if self.tile_overlap_px >= self.tile_px:
            raise ValueError(f"tiles of {self.tile_px} px cannot overlap by {self.tile_overlap_px} px")
        return self

    def nested_pair(self) -> tuple[ClassSpec, ClassSpec] | None:
        """Return (inner, outer), such as (axon, myelin), or none if no class lies inside another.

        Of classes in classes (a mitochondrion in an axon in myelin) it is the outermost two.
        """
        by_name = {spec.name: spec for spec in self.classes}
        pairs = [(spec, by_name[spec.inside]) for spec in self.classes if spec.inside]
        outermost = [pair for pair in pairs if not pair[1].inside]
        return next(iter(outermost or pairs), None)

    def enclosed_by(self, name: str) -> tuple[int, ...]:
        """Values of the classes that lie inside one, also by way of others; without its own."""
        found = {name}
        while more := {spec.name for spec in self.classes if spec.inside in found} - found:
            found |= more
        return tuple(spec.value for spec in self.classes if spec.name in found and spec.name != name)


def image_folder(project: Path, record: ImageRecord) -> Path:
    """Folder of the pixels of an image held in the project."""
    return project / "images" / record.domain / record.id


def label_folder(project: Path, record: ImageRecord) -> Path:
    """Folder of the labels of an image."""
    return project / "labels" / record.domain / record.id
