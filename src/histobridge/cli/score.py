"""The verb `score`: how well predicted label maps agree with true ones."""

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histobridge.cli.output import OK, PARTLY, Outcome, ProgressLine, table
from histobridge.core.errors import HistoBridgeError, InputError
from histobridge.core.job import Progress

if TYPE_CHECKING:
    from histobridge.cli.label_maps import Known, LabelMap, Predictions
    from histobridge.core.scorecard import Summary

SHOWN = ("dice", "hd95_um", "instance_f1", "g_ratio_bias")
"""Scores in the table of images; all are in the table of means."""

WORDS = {
    "dice": "Dice",
    "iou": "IoU",
    "assd_um": "ASSD (µm)",
    "hd95_um": "HD95 (µm)",
    "surface_dice": "surface Dice (2 px)",
    "boundary_iou": "boundary IoU (2 px)",
    "instance_f1": "F1 of objects",
    "instance_sq": "SQ of objects",
    "instance_pq": "PQ of objects",
    "g_ratio_bias": "g-ratio bias",
    "g_ratio_error": "g-ratio error",
    "g_ratio_median_bias": "g-ratio bias of medians",
    "aggregate_g_ratio_bias": "aggregate g-ratio bias",
    "calibration_error": "calibration error",
}
MOST_TOLD = 3
"""Problems told one by one where nothing could be scored."""


def score_options(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Options of `score`."""
    parser.add_argument("predicted", metavar="PREDICTED", help="Folder of label maps, or a project with proposals.")
    parser.add_argument("truth", metavar="TRUTH", help="Folder of label maps of the same names; 255 is left out.")
    parser.add_argument("--run", default="", metavar="RUN", help="Whose proposals. Default: those in use.")
    parser.add_argument("--pixel-size-um", type=float, metavar="X", help="Pixel size in µm. Default: what is known.")
    parser.add_argument(
        "--subjects",
        default="",
        metavar="FILE",
        help="CSV with the columns image and subject, and perhaps pixel_size_um. Default: those of the project; for "
        "folders every image counts for itself.",
    )
    parser.add_argument(
        "--classes", default="", metavar="FILE", help="JSON list of classes as for `new`. Default: axon 1, myelin 2."
    )


def score(namespace: argparse.Namespace) -> Outcome:
    """Score every image that has a truth; those that cannot be scored are named."""
    from histobridge.cli.label_maps import label_map_files, read_subjects
    from histobridge.core.scorecard import summarise

    if namespace.pixel_size_um is not None and not 0 < namespace.pixel_size_um < float("inf"):
        raise InputError(f"--pixel-size-um must be a number above 0; got {namespace.pixel_size_um:g}")
    predictions = _predictions(namespace)
    truths = label_map_files(Path(namespace.truth))
    known = read_subjects(Path(namespace.subjects)) if namespace.subjects else {}
    if namespace.subjects and (unknown := sorted(set(truths) & set(predictions.readers) - set(known))):
        raise InputError(f"--subjects {namespace.subjects} does not name {', '.join(unknown)}; add a line for each")
    rows, problems = _rows(predictions, truths, known, namespace.pixel_size_um)
    if not rows:
        told = "; ".join(f"{p['file']}: {p['problem']}" for p in problems[:MOST_TOLD])
        raise InputError(f"nothing could be scored. {told}{'; …' if len(problems) > MOST_TOLD else ''}")
    by_subject = all(row["subject"] for row in rows)
    summary = summarise([{"of": row["subject"] if by_subject else row["image"], **row["scores"]} for row in rows], "of")
    values: dict[str, Any] = {"verb": "score", "predicted": namespace.predicted, "truth": namespace.truth}
    values |= {"run": predictions.run} if predictions.run else {}
    values |= {"images": rows, "subjects": summary.groups if by_subject else {}, "mean": summary.mean}
    values |= {"missing": summary.missing, "problems": problems}
    values["without_truth"] = sorted(set(predictions.readers) - set(truths))
    return Outcome(values, _lines(values, summary), PARTLY if problems else OK)


def _predictions(namespace: argparse.Namespace) -> "Predictions":
    from histobridge.cli.label_maps import of_folder, of_project
    from histobridge.cli.project import read_classes
    from histobridge.core.manifest import MYELINATED_FIBRE
    from histobridge.core.project import Project

    folder = Path(namespace.predicted)
    if (folder / "project.json").is_file():
        if namespace.classes:
            raise InputError("--classes is for folders; a project has its own classes")
        return of_project(Project.open(folder), namespace.run)
    if namespace.run:
        raise InputError(f"--run {namespace.run} needs a project; {folder} is none")
    return of_folder(folder, read_classes(Path(namespace.classes)) if namespace.classes else MYELINATED_FIBRE)


def _rows(
    predictions: "Predictions", truths: Mapping[str, Path], given: Mapping[str, "Known"], pixel_size_um: float | None
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Scores of every image, and what was wrong with the others."""
    from histobridge.cli.label_maps import Known, read_label_map
    from histobridge.core.images.problem import FileError
    from histobridge.core.manifest import Manifest
    from histobridge.core.scorecard import score_image

    manifest = Manifest(name="score", classes=predictions.classes)
    rows, problems = [], []
    line = ProgressLine("Scoring")
    with contextlib.redirect_stdout(sys.stderr), contextlib.closing(line):
        for number, (name, path) in enumerate(truths.items(), 1):
            try:
                if name not in predictions.readers:
                    raise FileError(path, f"has no prediction called {name}", "predict it, or leave the truth out")
                predicted, truth = predictions.readers[name](), read_label_map(path, predictions.classes)
                _check_size(name, predicted, truth, path)
                about, known = given.get(name, Known()), predictions.known.get(name, Known())
                size = pixel_size_um or about.pixel_size_um or known.pixel_size_um or truth.pixel_size_um
                scores = score_image(predicted.classes, truth.classes, manifest, size, predicted.confidence)
            except FileError as problem:
                problems.append(problem.as_dict())
            except HistoBridgeError as error:
                problems.append(FileError(path, str(error), "mend it, or leave the file out").as_dict())
            else:
                row = {"image": name, "subject": about.subject or known.subject, "pixel_size_um": size}
                rows.append(row | {"scores": scores})
            line(Progress(number, len(truths), name))
    return rows, problems


def _check_size(name: str, predicted: "LabelMap", truth: "LabelMap", path: Path) -> None:
    from histobridge.core.images.problem import FileError
    from histobridge.core.images.stage import size

    if predicted.classes.shape != truth.classes.shape:
        found = f"is {size(truth.classes.shape)}, the prediction of {name} is {size(predicted.classes.shape)}"
        raise FileError(path, found, "give the truth of this very image, neither cropped nor resampled")


def _lines(values: Mapping[str, Any], summary: "Summary") -> list[str]:
    """Table of images, table of means, and what is to be known about both."""
    rows, subjects = values["images"], values["subjects"]
    names = [name for name in summary.mean if name.split("/")[0] in SHOWN]
    labels = ("image", "subject") if subjects else ("image",)
    images = [
        {label: row[label] for label in labels} | {_words(name): row["scores"].get(name) for name in names}
        for row in rows
    ]
    means = [
        {"score": _words(name)} | {s: scores.get(name) for s, scores in subjects.items()} | {"mean": mean}
        for name, mean in summary.mean.items()
    ]
    of = "subjects" if subjects else "images"
    lines = [*table(images), "", f"mean over {of}:", *table(means), ""]
    lines += _notes(rows, summary.missing)
    lines += [f"without truth, not scored: {', '.join(values['without_truth'])}"] if values["without_truth"] else []
    lines += [f"not scored: {p['file']}: {p['problem']}; {p['remedy']}" for p in values["problems"]]
    return lines[:-1] if not lines[-1] else lines


def _notes(rows: Sequence[Mapping[str, Any]], missing: Mapping[str, int]) -> list[str]:
    """Say which scores are missing, and why where that is known."""
    sizeless = [row["image"] for row in rows if not row["pixel_size_um"]]
    lines = [f"no pixel size, so no µm: {', '.join(sizeless)} -> --pixel-size-um X"] if sizeless else []
    without = [f"{_words(name)} ({count} of {len(rows)})" for name, count in missing.items() if "_um/" not in name]
    return lines + (
        [f"nothing to measure in some images, left out of the mean: {', '.join(without)}"] if without else []
    )


def _words(name: str) -> str:
    """Name of a score for people."""
    kind, _, of = name.partition("/")
    return f"{WORDS.get(kind, kind)} {of}".strip()
