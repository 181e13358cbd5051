"""Images that an import has staged, without pixels that can be read."""

from histobridge.core.config import SelfTestConfig
from histobridge.core.files import write_json
from histobridge.core.manifest import ImageRecord


def record(name="a", **changes):
    values = {"id": name, "domain": "source", "subject": "m1", "shape": (4, 6), "dtype": "uint8"} | changes
    return ImageRecord.model_validate(values)


def import_run(project, *records):
    """A finished import with staged images."""
    run = project.create_run("add", SelfTestConfig())
    for image in records:
        folder = run.path / "staged" / image.id
        (folder / "image").mkdir(parents=True)
        (folder / "image" / "pixels").write_bytes(b"pixels")
        write_json(folder / "record.json", image.model_dump(mode="json"))
    return run
