"""A small synthetic project in every state the window can show, written by hand: what `screenshots.py` photographs.

No network is trained; the files say what the jobs would have said. Proposals are the truth of the synthetic fields with
known faults, so that there is something to correct.
"""

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "widgets"))
from window_fakes import say

from histobridge.core.choice import Evidence, decide, write_choice
from histobridge.core.config import (
    AddImagesConfig,
    FineTuneConfig,
    MatchConfig,
    ProposeConfig,
    RankConfig,
    TrainSegmenterConfig,
    TrainTranslatorConfig,
)
from histobridge.core.files import write_json
from histobridge.core.gate import Gate, Score, TileScore
from histobridge.core.match_views import outlined, previews
from histobridge.core.matching import Matching, load_matching, working_image
from histobridge.core.perform import perform
from histobridge.core.project import Project
from histobridge.core.queue import Queue, QueuedTile
from histobridge.core.runs import Run
from histobridge.core.sample import make_sample_project, read_truth
from histobridge.core.stopping import Gain
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.quality import report
from histobridge.core.translate.quality.evidence import structure_picture, tile_picture
from histobridge.core.translate.quality.report import Quality, Tiling, write_quality
from histobridge.core.translate.quality.tiling import InTiles
from histobridge.core.translate.quality.verdict import judged
from histobridge.core.translations import begin_translation, card_of, to_bytes
from large import Tiled, add_large, target_field

MOSAIC = "rat9-mosaic"
FAULTS = ("closed", "leaking", "open", "none", "none")
REASONS = (
    "routes disagree on 12 fibres",
    "sheaths unusually thin: mean g-ratio 0.81",
    "looks unlike the tiles reviewed so far",
    "picked at random, to keep the sample fair",
)
EVIDENCE = {
    "tutorship": Evidence(consistency=0.82, reverse=0.71, enclosure=0.92, size=0.81, g_ratio=0.77),
    "adaptation": Evidence(consistency=0.74, reverse=0.55, enclosure=0.61, size=0.7, g_ratio=0.64),
}


def make(folder: Path) -> Project:
    """Make the project with its images; nothing is learned yet."""
    project = make_sample_project(folder / "nerve", fields=6, size=192)
    with project.editing("sample"):
        add_large(project, MOSAIC, target_field(512), 2048)
    return project


def bring_problems(project: Project, folder: Path) -> Run:
    """Really import three files: one without a pixel size, one that is no image, one whose format is not read."""
    folder.mkdir()
    pixels = np.asarray(Image.open(project.path / "truth" / f"{first_target(project)}.png"))
    Image.fromarray(pixels * 90).save(folder / "rat4_slide1.png")
    (folder / "rat4_slide2.png").write_text("no image")
    (folder / "rat4_notes.docx").write_text("notes")
    run = project.create_run("add", AddImagesConfig(domain="target", paths=(folder,)))
    perform(run)
    return run


def first_target(project: Project) -> str:
    return project.images("target")[0].id


def faults(truth: np.ndarray) -> list[tuple[str, int, int]]:
    """Kind of fault, and row and column of its axon, of every fibre of a field (Y, X) that lies well inside."""
    axons, count = ndimage.label(truth == 1)
    found = []
    for number, (y, x) in enumerate(ndimage.center_of_mass(truth == 1, axons, range(1, count + 1))):
        row, column = round(y), round(x)
        inside = min(row, column, truth.shape[0] - row, truth.shape[1] - column) > 24
        if inside and truth[row, column] == 1:
            found.append((FAULTS[number % len(FAULTS)], row, column))
    return found


def damaged(truth: np.ndarray) -> np.ndarray:
    """The truth (Y, X) with its faults: axons left empty, rings with a gap."""
    axons, _ = ndimage.label(truth == 1)
    classes = truth.copy()
    for kind, row, column in faults(truth):
        if kind in ("closed", "leaking"):
            classes[axons == axons[row, column]] = 0
        if kind in ("leaking", "open"):
            classes[row - 2 : row + 3, column : column + 24][classes[row - 2 : row + 3, column : column + 24] == 2] = 0
    return classes


def classes_by(truth: np.ndarray, route: str) -> np.ndarray:
    """What a route proposes: the damaged truth, and for adaptation borders that are off by a pixel or two."""
    classes = damaged(truth)
    if route == "adaptation":
        sheaths = ndimage.binary_dilation(classes == 2, iterations=2) & (classes != 1)
        classes = np.where(sheaths, 2, classes).astype(np.uint8)
    return classes


def propose(project: Project, route: str, *, by_itself: bool) -> Run:
    """Write a finished run of `propose`; `by_itself`: it chose its route between two."""
    import zarr

    run = project.create_run("propose", ProposeConfig(route="auto" if by_itself else route))
    for record in project.images("target"):
        large = record.id == MOSAIC
        if record.origin != "synthetic sample" and not large:
            continue
        truth = target_field(512).classes if large else read_truth(project, record.id)
        classes = classes_by(truth, route)
        edge = ndimage.distance_transform_cdt(ndimage.grey_dilation(classes, 3) == ndimage.grey_erosion(classes, 3))
        confidence = np.clip(110 + 30 * edge, 0, 255).astype(np.uint8)
        for name, each in (("classes", classes), ("confidence", confidence)):
            pixels = Tiled(each, record.shape[0])[:, :] if large else each
            zarr.save_array(run.path / "proposals" / record.id / name, pixels)
        fractions = {str(value): float((classes == value).mean()) for value in range(3)}
        write_json(
            run.path / "proposals" / record.id / "proposal.json", {"fractions": fractions, "confidence": sure(route)}
        )
    if by_itself:
        write_choice(run, decide(EVIDENCE, 0.6))
    images = sorted(each.name for each in (run.path / "proposals").iterdir())
    say(run, "finished", result={"images": images, "route": route, "translator": "instant"})
    return run


def sure(route: str) -> float:
    return 0.91 if route == "tutorship" else 0.84


def learn(project: Project) -> Run:
    """Write a finished training of the source segmenter."""
    run = project.create_run("train-segmenter", TrainSegmenterConfig())
    curve(run, 600, "learning your labels", {"loss": (1.4, 0.2), "dice": (0.2, 0.88)})
    say(run, "finished", message="done", started=time.time() - 130, metrics={"loss": 0.2})
    return run


def curve(run: Run, steps: int, message: str, metrics: dict[str, tuple[float, float]]) -> None:
    """Write events of a training, each metric from a first value towards a last one."""
    random = np.random.default_rng(0)
    for step in range(1, steps, 6):
        decay = np.exp(-4 * step / steps)
        values = {
            name: float(last + (first - last) * decay + 0.02 * random.normal())
            for name, (first, last) in metrics.items()
        }
        run.log("progress", step=step, total=600, message=message, metrics=values)


def match(project: Project, segmenter: Run, certainty: float) -> Run:
    """Write a finished matching with its pictures; below 0.8 the polarity is not certain."""
    run = project.create_run("match", MatchConfig(segmenter=segmenter.id))
    looks = {}
    for domain in ("source", "target"):
        pixels = [each for record in project.images(domain)[:6] for each in (whole(project, record.id),)]
        values = np.quantile(np.concatenate([each.ravel() for each in pixels]), np.linspace(0, 1, 257))
        looks[f"{domain}_look"] = tuple(float(value) for value in values / 127.5 - 1)
    source, target = project.images("source")[0], project.images("target")[0]
    matching = Matching(
        run=run.id,
        segmenter=segmenter.id,
        source_working_um=source.pixel_size_um,
        target_working_um=target.pixel_size_um,
        object_diameter_px=36.0,
        scale_from="estimate",
        invert=True,
        polarity_from="estimate",
        polarity_score={"keep": 0.61, "invert": 0.61 + certainty / 3},
        score="enclosure",
        polarity_by_image={},
        certainty=certainty,
        certain=certainty >= 0.8,
        images=tuple(record.id for record in project.images("target")[:2]),
        **looks,
    )
    write_json(run.path / "matching.json", matching.model_dump(mode="json"))
    grey = whole(project, target.id)[:96, :96]
    seen = read_truth(project, target.id)[:96, :96]
    both = {"keep": outlined(project, grey, np.roll(seen, 9, axis=1)), "invert": outlined(project, 255 - grey, seen)}
    for name, pixels in (previews(project, matching) | both).items():
        Image.fromarray(pixels).save(run.path / f"preview-{name}.png")
    say(run, "finished", message="done", result={"invert": True})
    return run


def whole(project: Project, image: str) -> np.ndarray:
    return project.pixels(image).read(tuple(slice(0, min(256, side)) for side in project.image(image).shape))


def translate(project: Project, *, running: bool) -> Run:
    """Write a training of a translator, finished with a verdict or under way."""
    run = project.create_run("train-translator", TrainTranslatorConfig())
    ends = {"generator": (0.9, 0.45), "discriminator": (0.5, 0.4), "contrast": (0.6, 0.12), "agreement": (0.4, 0.1)}
    ends |= {"segmentation": (1.2, 0.3), "trust": (0.2, 0.7)}
    on_tiles = {"source back": (0.5, 0.1), "target back": (0.45, 0.13), "to target": (1.1, 0.3), "to source": (1, 0.4)}
    ends |= {f"tiles/{name}": values for name, values in on_tiles.items()}
    curve(run, 198 if running else 600, "training", ends)
    for name, domain in (("source_to_target", "source"), ("target_to_source", "target")):
        tiles = [whole(project, record.id)[:96, :96] for record in project.images(domain)[:4]]
        rows = [
            np.concatenate([tile, 255 - ndimage.gaussian_filter(tile, 1), ndimage.gaussian_filter(tile, 0.6)], axis=1)
            for tile in tiles
        ]
        Image.fromarray(np.concatenate(rows)).save(run.path / f"preview-{name}.png")
    if running:
        told = {"step": 197, "total": 600, "message": "training", "metrics": {"contrast": 0.31}}
        say(run, "running", started=time.time() - 65, **told)
    else:
        seams = {"source_to_target": 1.01, "target_to_source": 0.98}
        tiling = {name: Tiling(seam_ratio=ratio, mismatch=0.0) for name, ratio in seams.items()}
        write_quality(run.path, measured(tiling))
        for name, picture in checked(project, tiling).items():
            Image.fromarray(picture).save(run.path / f"preview-{name}.png")
        say(run, "finished", message="done", step=600, total=600, started=time.time() - 170)
    return run


def measured(tiling: dict[str, Tiling]) -> Quality:
    """A translation of which nothing can be said against."""
    cycle, robust = (report.Cycle(ssim=ssim, psnr_db=22.6, l1=0.041) for ssim in (0.874, 0.841))
    looks, alone = (report.Looks(kid=far, fid=20 * far, grey=far / 2, spectrum=5 * far) for far in (0.02, 0.09))
    common = {"cycle": cycle, "robust": robust, "looks": looks, "instant": alone, "upright": 0.95, "lag_error": 0.01}
    ways = {
        name: report.WayQuality(**common, agreement=kept)
        for name, kept in (("source_to_target", None), ("target_to_source", 0.93))
    }
    labels = {"dice_before": 0.91, "dice_after": 0.89, "count": 1.02, "size": 0.97, "hallucinated": 0.01}
    borders = {"boundary_px": 0.7, "boundary_high_px": 1.9, "boundary_before_px": 0.6}
    return judged(Quality(ways=ways, structure=report.Structure(**labels, **borders), tiling=tiling))


def checked(project: Project, tiling: dict[str, Tiling]) -> dict[str, np.ndarray]:
    """Pictures of the checks: a few places of each crop taken for something else, and tiles that join."""
    crops = [whole(project, record.id)[:96, :96] / np.float32(127.5) - 1 for record in project.images("source")[:4]]
    noise = [ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(96, 96)), 2) for seed in range(4)]
    changes = [np.clip(8 * (field - 0.25), 0, 1).astype(np.float32) for field in noise]
    tiles = [InTiles(crop, -crop, -crop, joined) for crop, joined in zip(crops, tiling.values(), strict=False)]
    returned = [ndimage.gaussian_filter(crop, 0.6) for crop in crops]
    return {"structures": structure_picture(crops, returned, changes), "tiles": tile_picture(tiles)}


def end_translations(project: Project) -> None:
    """End jobs that were asked for with the instant look of their images, smoothed, as if a translator had made it."""
    for run in project.runs("translate-image"):
        name, matching = run.config["image"], load_matching(project, run.config["matching"])
        image, instant = (
            working_image(project, name, matching),
            Instant(True, matching.source_look, matching.target_look),
        )
        made = ndimage.gaussian_filter(instant.translate(image.whole(), "target_to_source", image.look), 1.5)
        begin_translation(run.path, card_of(project, name, run.config["translator"], matching))[:] = to_bytes(made)
        say(run, "finished", message="done", step=1, total=1)


def rank(project: Project, proposals: Run, run: Run | None = None) -> Run:
    """Write a queue with reasons, and that going on is of little use; in `run` if it was asked for already."""
    run = run or project.create_run("rank", RankConfig())
    images = [record.id for record in project.images("target") if record.origin == "synthetic sample"]
    tiles = [
        QueuedTile(image=image, tile="r000c000", score=0.93 - 0.08 * place, reason=REASONS[place % len(REASONS)])
        for place, image in enumerate(images)
    ]
    words = "about +0.4 Dice points: you can stop"
    gain = Gain(low=0.0, mean=0.004, high=0.008, verdict="stop", words=words)
    queue = Queue(order="queue", proposals=proposals.id, tiles=tuple(tiles), stop=gain)
    write_json(run.path / "queue.json", queue.model_dump(mode="json"))
    say(run, "finished")
    return run


def fine_tune(project: Project, before: float, after: float, **gate: str) -> Run:
    """Write a finished fine-tuning with the scores of four held-out tiles."""
    run = project.create_run("finetune", FineTuneConfig())
    curve(run, 200, "learning from 6 tiles", {"loss": (0.5, 0.18)})
    tiles = [TileScore(image=first_target(project), tile="r000c000", before=before, after=after) for _ in range(4)]
    values = {"verdict": "promote", "reason": f"{after:.2f} after, {before:.2f} before, on 4 tiles held out."} | gate
    verdict = Gate(score=Score(before=before, after=after), tiles=tuple(tiles), **values)
    write_json(run.path / "gate.json", verdict.model_dump(mode="json"))
    say(run, "finished", message="done")
    return run
