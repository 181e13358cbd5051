"""Take what an import has staged into the open project."""

from typing import TYPE_CHECKING

from histobridge.core.adopting import brings_labels
from histobridge.core.errors import HistoBridgeError
from histobridge.core.runs import Run
from histobridge.widgets.followed import words

if TYPE_CHECKING:
    from histobridge.widgets.session import Session


def take_in(session: "Session", run: Run) -> bool:
    """Take in what a run has staged; false if it could not be written, said so, and has to be tried again."""
    if not session.editable or not any((run.path / "staged").glob("*/record.json")):
        return True
    if brings_labels(run):
        try:
            session.put_labels_away()  # those of one of the images may be open, with nothing in them
        except (HistoBridgeError, OSError) as error:
            session.trouble.emit(words(error))
            return False
    return session.edit(lambda project: project.adopt(run))
