"""One place for default, bound and meaning of everything a job can be told."""

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from histobridge.core.base_config import Config, Direction, Domain, Seed
from histobridge.core.segment.terms.settings import TermSettings
from histobridge.core.segment.test_time_settings import AtTestTime
from histobridge.core.training_config import SegmenterTraining
from histobridge.core.translator_config import TrainTranslatorConfig

__all__ = ["Config", "Direction", "Domain", "SegmenterTraining", "TrainTranslatorConfig"]


class SelfTestConfig(Config):
    """A job without images that shows whether the engine works, and what it does when a job dies."""

    steps: PositiveInt = 5
    """Steps to do."""

    seconds_per_step: NonNegativeFloat = 0.05
    """How long a step takes."""

    checkpoint_every: PositiveInt = 1
    """Steps between two checkpoints."""

    crash_at_step: NonNegativeInt = 0
    """Kill the own process at this step; 0: never."""

    crashes: PositiveInt = 1
    """How often to do so."""

    fail_at_step: NonNegativeInt = 0
    """Raise an error at this step; 0: never."""

    hang_at_step: NonNegativeInt = 0
    """Do nothing for a minute at this step, deaf to a stop; 0: never."""

    stop_seconds: NonNegativeFloat = 0
    """How long it writes when it is stopped, in seconds, as a training does with large networks."""

    allocate_mb: NonNegativeInt = 0
    """Memory to fill in every step, in MB."""

    use_torch: bool = False
    """Also load torch, and tell how many threads it uses."""


class AddImagesConfig(Config):
    """Which files become images of the project, and what is known of them."""

    domain: Domain = "target"
    """Source images have labels, target images want some."""

    paths: tuple[Path, ...] = ()
    """Image files, folders of images, OME-Zarr groups or BIDS datasets."""

    masks: tuple[Path, ...] = ()
    """Mask files or folders for `paths`; matched by name. Found by themselves in BIDS and in `images`/`masks`."""

    pixel_size_um: PositiveFloat | None = None
    """Pixel size in µm for files that do not state one; files that do keep theirs."""

    subject: str = ""
    """Animal or patient of all these images; empty: from BIDS or from `subject_pattern`."""

    subject_pattern: str = r"^(?P<subject>[^_]+)(?:_(?P<section>.+))?$"
    """Regular expression on the file name without ending, with a group `subject` and perhaps `section`."""

    mask_values: dict[int, int] = Field(default_factory=dict)
    """Value in the mask files -> class value of the project; 255 means unlabelled. Empty: told from the files."""

    sections: tuple[NonNegativeInt, ...] = ()
    """Sections to take of a stack, counted from 0; empty: all."""

    copy_images: bool = True
    """Copy pixels into the project; off: OME-Zarr inputs are referenced where they lie."""


class TrainSegmenterConfig(Config):
    """Learn the labels of one domain."""

    domain: Domain = "source"
    """Whose labels are learned."""

    object_diameter_px: float = Field(36.0, ge=4, le=1000)
    """Typical diameter (area-weighted median), at the working scale, of the objects that set the scale (axons)."""

    subjects: tuple[str, ...] = ()
    """Only these subjects; empty: all with labels. The labels of others then teach nothing matched with it either."""

    training: SegmenterTraining = SegmenterTraining()
    """How the network is trained."""


class MatchConfig(Config):
    """Bring both domains to one scale, one polarity and one distribution of grey values."""

    segmenter: str = ""
    """Run that learned the source; empty: the one in use."""

    polarity: Literal["auto", "keep", "invert"] = "auto"
    """Invert the grey values of the target on the way to the source? `auto` asks the source segmenter."""

    score: Literal["auto", "enclosure", "entropy"] = "auto"
    """What judges the polarity: `enclosure` for a nested pair of classes (and the scale), `entropy` for any classes."""

    target_diameter_um: PositiveFloat | None = None
    """Diameter in µm of a typical object of the target (a line across it); empty: by enclosure, or as in the source."""

    source_diameter_um: PositiveFloat | None = None
    """Diameter in µm of a like object of the source, measured the same way; empty: that of the labelled objects."""

    scale_factor: PositiveFloat | None = None
    """Target µm per source µm at the working scale, when you know it; wins over all else."""

    images_used: PositiveInt = 8
    """At most this many images of the target are looked at."""


class ProposeConfig(Config):
    """Make pseudo-labels for the images of the target."""

    route: Literal["auto", "tutorship", "adaptation", "fused", "model"] = "tutorship"
    """`tutorship` trains a segmenter on translated source images, `adaptation` translates the target images for the
    source segmenter, `fused` averages both, `auto` makes both and chooses one of these three for you, without labels of
    the target. `model` applies a segmenter of the target (a fine-tuned one) as it is."""

    translator: str = "instant"
    """`instant`, `identity`, or the run of a trained translator."""

    insist: bool = False
    """Use a translator even if it failed the checks that were made after its training."""

    segmenter: str = ""
    """Segmenter for adaptation (empty: the one in use) or for the route `model` (empty: the promoted one)."""

    matching: str = ""
    """Run that matched the domains; empty: the one in use."""

    training: SegmenterTraining = SegmenterTraining()
    """How the proxy segmenter of tutorship is trained."""

    images: tuple[str, ...] = ()
    """Images to propose for; empty: all of the target."""

    flips: bool = True
    """Average over four flips: four times slower than without, and better, above all in the number of objects."""

    smallest_object: float = Field(1 / 6, ge=0, le=1)
    """Share of the typical diameter below which a region is noise and no object; 0: all are kept."""

    test_time: AtTestTime = AtTestTime()
    """How the model is fitted to the images just before it proposes (test-time adaptation)."""

    for_comparison: bool = False
    """Only to be laid beside other labels: these proposals are not reviewed, exported or learned from by themselves."""

    reverse_steps: NonNegativeInt = 150
    """Where the route is chosen for you: training steps of the small network that tests each route in reverse; 0: leave
    this test out."""


class FineTuneConfig(Config):
    """How a segmenter is fine-tuned on corrected tiles."""

    model: str = ""
    """The proposing run to restart from; empty: the one that proposed the active proposals."""

    steps: PositiveInt = 200
    """Optimizer steps; one step sees `batch_size` crops."""

    batch_size: PositiveInt = 6
    """Crops a step."""

    crop_px: PositiveInt = Field(96, multiple_of=16)
    """Side of a training crop in pixels of the working scale."""

    learning_rate: PositiveFloat = 1e-3
    """AdamW learning rate."""

    source_replay: float = Field(1 / 3, ge=0, lt=1)
    """Share of every batch that comes from the translated source labels with one reviewed tile; falls to a tenth with
    eight."""

    confidence: float = Field(0.9, ge=0, le=1)
    """Unreviewed pixels at least this confident train as proposed; less confident ones are ignored."""

    proposal_weight: NonNegativeFloat = 1.0
    """How much such a pixel counts beside a reviewed one; 0.3 of it near the border of a class."""

    single_tile_share: float = Field(0.2, ge=0, le=1)
    """How far the weights go from the starting model to the fine-tuned one with one reviewed tile; all the way with
    four. A tile that is not yet decided counts as much as is reviewed of it."""

    freeze_statistics: bool = True
    """Keep the normalisation statistics of the starting model; those of a few reviewed tiles fit no other image."""

    cross_validate: bool = True
    """With one to four reviewed tiles, also train without some of them to score the model on those; takes twice the
    time."""

    terms: tuple[TermSettings, ...] = ()
    """Further terms of the loss: semi-supervised ones learn from images without labels."""

    average: float = Field(0.0, ge=0, lt=1)
    """Decay of the running average of the weights that is kept in place of the last ones; 0: the last ones."""

    checkpoint_every: PositiveInt = 100
    """Steps between two checkpoints."""

    seed: Seed = 0
    """Seed of crops and augmentation."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes the GPU if there is one."""


class RankConfig(Config):
    """In which order tiles are shown for review."""

    order: Literal["queue", "random", "entropy"] = "queue"
    """`queue` draws tiles that seem worth the time more often, while subjects, images and looks take turns; `random`
    takes turns alone. `entropy` shows the least sure ones first: for comparison, since that teaches less."""

    proposals: str = ""
    """The proposing run to look at; empty: the one that proposed the active proposals."""

    other: str = ""
    """Another proposing run to compare with; empty: the latest of another route."""

    sharpness: float = Field(2.0, ge=0, le=10)
    """How much oftener tiles of a high score are drawn: in proportion to its power by so much; 0: by chance alone."""

    looks: PositiveInt = 4
    """Groups of tiles that look alike, which take turns."""

    most_tiles: PositiveInt = 2000
    """At most this many tiles are looked at and queued."""

    seconds_per_tile: PositiveFloat = 120.0
    """Time to review a tile, for the forecast, as long as your own pace is not known."""

    seed: Seed = 0
    """Seed of all that is drawn."""


class TranslateImageConfig(Config):
    """Make and keep what a trained translator makes of an image."""

    image: str = ""
    """The image, of either domain; it gets the look of the other."""

    translator: str = ""
    """Run that trained or imported the translator; empty: the one in use."""

    matching: str = ""
    """Run that matched the domains; empty: the one in use."""

    window: tuple[NonNegativeInt, ...] = ()
    """What comes first: top, left, bottom and right in native pixels; empty: the middle."""

    whole: bool = True
    """Go on with the rest of the image; off: only what lies in `window`."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to translate; `auto` takes the GPU if there is one with enough free memory."""

    @field_validator("window")
    @classmethod
    def _is_a_window(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        if sides and not (len(sides) == 4 and sides[0] < sides[2] and sides[1] < sides[3]):
            raise ValueError(f"{sides} found; expected top, left, bottom and right, or nothing")
        return sides


class ExportConfig(Config):
    """Write masks where other programs read them."""

    out: Path = Path("histobridge-export")
    """Folder to write to; made if missing."""

    formats: tuple[Literal["ome-zarr", "png", "tiff", "table"], ...] = ("ome-zarr",)
    """OME-Zarr 0.5 with image, labels and confidence; PNG or TIFF label maps; CSV table of fibres with g-ratios."""

    domain: Domain = "target"
    """Whose labels."""

    images: tuple[str, ...] = ()
    """Images to export; empty: all that have labels or proposals."""

    reviewed_only: bool = False
    """Leave pixels that nobody has reviewed unlabelled (255), for programs that learn from what you export."""

    replace: bool = False
    """Replace what already lies there under the same name."""
