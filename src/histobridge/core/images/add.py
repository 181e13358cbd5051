"""Job: bring image files, with their masks, into the project."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histobridge.core.config import AddImagesConfig, Domain
from histobridge.core.errors import InputError
from histobridge.core.images import stage
from histobridge.core.images.find import Candidate, Found, find_images
from histobridge.core.images.masks import read_masks
from histobridge.core.images.open import Opened, open_image, square
from histobridge.core.images.problem import FileError
from histobridge.core.images.raster import Raster, address, is_url, is_zarr, stem
from histobridge.core.job import Job, Progress
from histobridge.core.manifest import ImageRecord
from histobridge.core.project import Project
from histobridge.core.runs import Run

KNOWN = "nothing to do; what is known of it can be changed on the Images page or with `histobridge set`"


def add_images(project: Project, run: Run, config: AddImagesConfig) -> Job[dict[str, Any]]:
    """Stage image files, and the masks that belong to them, for `Project.adopt`.

    One bad file never stops the others; nothing of it stays. Doing it again goes on where it stopped.

    Parameters
    ----------
    project : Project
        Only read.
    run : Run
        ``staged/<id>/`` is written in it, see `stage_array`.
    config : AddImagesConfig

    Yields
    ------
    Progress
        Before every file and after every section.

    Returns
    -------
    dict
        ``added``: ids; ``problems``: one ``{"file", "problem", "remedy"}`` per file that was not added; ``notes``:
        sentences on what was left aside.

    Raises
    ------
    InputError
        If no `paths` are given, or `subject_pattern` is no regular expression with a group `subject`.
    """
    if not config.paths:
        raise InputError("paths: none given; name image files, folders, OME-Zarr groups or BIDS datasets")
    pattern = _compiled(config.subject_pattern)
    found = find_images(config, project.classes_of(config.domain))
    problems = [problem.as_dict() for problem in found.problems]
    adding = _Adding(project, run, config, pattern)
    total = len(found.candidates)
    try:
        for index, candidate in enumerate(found.candidates):
            yield Progress(index, total, candidate.path.name)
            try:
                for problem in adding.sections_of(candidate):
                    problems.extend([problem.as_dict()] if problem else [])
                    yield Progress(index, total, candidate.path.name)
            except FileError as problem:
                problems.append(problem.as_dict())
    finally:
        shutil.rmtree(run.path / "incoming", ignore_errors=True)
    yield Progress(total, total, f"{len(adding.added)} added")
    return {"added": adding.added, "problems": problems, "notes": _notes(found, config.domain)}


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"subject_pattern: {pattern!r} is no regular expression ({error}); correct it") from error
    if "subject" not in compiled.groupindex:
        raise InputError(f"subject_pattern: {pattern!r} has no group (?P<subject>...); add it")
    return compiled


def _notes(found: Found, domain: Domain) -> list[str]:
    """Say which masks were left aside, and how many images should have labels and have none."""
    without = sum(candidate.masks is None for candidate in found.candidates) if domain == "source" else 0
    lacking = f"{without} of {len(found.candidates)} source image file(s) without a mask: nothing is learned from them"
    kinds = sorted({kind for _, kind in found.unused})
    counts = {kind: sum(kind == other for _, other in found.unused) for kind in kinds}
    return ([lacking] if without else []) + [
        f"{counts[kind]} mask file(s) of {kind!r} not used: the project has no such class; "
        "add a class of that name before the images if you want them"
        for kind in kinds
    ]


@dataclass
class _Adding:
    """What stays the same over the files of one import."""

    project: Project
    run: Run
    config: AddImagesConfig
    pattern: re.Pattern[str]

    def __post_init__(self) -> None:
        records = stage.staged_records(self.run)
        self.added = [record.id for record in records]
        self._taken = {record.id.casefold() for record in self.project.images()} | stage.staged_ids(self.project)
        self._done = {(record.origin, record.section) for record in records}
        self._masks: dict[Path, Raster] = {}
        self._there = {record.source: record for record in self.project.images()}

    def sections_of(self, candidate: Candidate) -> Iterator[FileError | None]:
        """Stage the sections of one file; yields the problem of each, or none."""
        opened = open_image(candidate.path)
        self._masks.clear()
        known = self._known(candidate, opened)
        chosen = self._chosen(opened)
        for index in chosen:
            suffix = f"z{index:03d}" if opened.stack else ""
            section = "_".join(filter(None, (known["section"], suffix)))
            if (known["origin"], section) in self._done:
                continue
            try:
                self._stage(candidate, opened, index, known | {"section": section})
            except FileError as problem:
                if not opened.stack:
                    raise
                yield FileError(problem.file, f"section {index}: {problem.problem}", problem.remedy)
            yield None

    def _chosen(self, opened: Opened) -> list[int]:
        """Sections to take: those asked for of a stack, else all."""
        count = len(opened.sections)
        if not opened.stack or not self.config.sections:
            return list(range(count))
        beyond = [index for index in self.config.sections if index >= count]
        if beyond:
            found = f"is a stack of {count} sections, counted from 0, without {', '.join(map(str, beyond))}"
            raise FileError(opened.path, found, "choose sections that it has")
        return sorted(set(self.config.sections))

    def _known(self, candidate: Candidate, opened: Opened) -> dict[str, Any]:
        """What is known of a file: subject, section, pixel size, origin."""
        path, config = candidate.path, self.config
        match = self.pattern.search(stem(path))
        named = match.groupdict() if match else {}
        subject, section = config.subject or named.get("subject") or stem(path), named.get("section") or ""
        size_um, stated_in = opened.pixel_size_um, opened.pixel_size_from
        if candidate.dataset:
            subject, section = candidate.dataset.subject, candidate.dataset.section
            if sidecar := candidate.dataset.pixel_sizes_um():
                size_um, stated_in = square(path, sidecar[0]), f"BIDS sidecar {sidecar[1]}"
        if size_um is None and config.pixel_size_um:
            size_um, stated_in = config.pixel_size_um, "user"
        return {
            "subject": subject,
            "section": section,
            "pixel_size_um": size_um,
            "pixel_size_from": stated_in,
            "origin": address(path),
            "sha256": "" if is_zarr(path) else stage.sha256_of_file(path),
        }

    def _stage(self, candidate: Candidate, opened: Opened, index: int, known: dict[str, Any]) -> None:
        """Stage one section with its labels."""
        path, domain = candidate.path, self.config.domain
        image = opened.checked(index)
        classes = None
        if candidate.masks:
            spoken = self.project.classes_of(domain)
            classes = read_masks(candidate.masks, index, image.shape, spoken, self.config.mask_values, self._masks)
        if not known["sha256"]:
            known = known | {"sha256": stage.sha256_of_pixels(image)}
        if twin := self._twin(known):
            if classes is None or self.project.labels(twin.id).exists:
                raise FileError(path, f"is already in the project as {twin.id}", KNOWN)
            self.added.append(stage.stage_array(self.run, twin, image, classes, labels_only=True).id)
            return
        name = stem(path) + (f"_z{index:03d}" if opened.stack else "")
        if is_zarr(path) and not opened.stack and not self.config.copy_images:
            known = known | {"reference": self._reference(path)}
        record = stage.image_record(stage.new_id(name, self._taken), domain, **known)
        self.added.append(stage.stage_array(self.run, record, image, classes).id)
        self._taken.add(record.id.casefold())

    def _twin(self, known: dict[str, Any]) -> ImageRecord | None:
        """Return the image that was made from the same file before."""
        return self._there.get(stage.image_record("new", self.config.domain, **known).source)

    def _reference(self, path: Path) -> str:
        """Write where an OME-Zarr lies: relative if it moves along with the project, else absolute."""
        if is_url(path):
            return address(path)
        place, home = path.resolve(), self.project.path.resolve().parent
        return os.path.relpath(place, self.project.path.resolve()) if place.is_relative_to(home) else str(place)
