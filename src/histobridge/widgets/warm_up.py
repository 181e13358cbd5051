"""Prepares in the background what the first image needs, so that it opens sooner: the definitions of units."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

from histobridge.widgets.session import Session

if TYPE_CHECKING:
    from pint import UnitRegistry

AFTER_MS = 300
"""The dock has been drawn, and nobody has done anything yet."""


class WarmUp(QObject):
    """Begins once, a little after `start`; ends with the session, whose one background thread does it.

    They take a third of a second, and are read into a registry of their own, which takes the place of the application's
    only as long as nobody has used that. Nothing is imported there: a package (tried: pandas, zarr) of which the window
    or another plugin loads a part at the same moment fails in both threads.

    Parameters
    ----------
    session : Session
    parent : QObject
    """

    def __init__(self, session: Session, parent: QObject):
        super().__init__(parent)
        self._session = session
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._begin)

    def start(self) -> None:
        """Begin soon."""
        self._timer.start(AFTER_MS)

    def _begin(self) -> None:
        self._session.later(prepare, use_units)


def prepare() -> "UnitRegistry | None":
    """Read the definitions of units if nobody has yet."""
    from pint import UnitRegistry

    return None if _units_used() else UnitRegistry(on_redefinition="raise")


def use_units(registry: "UnitRegistry | None") -> None:
    """Let everybody use these units, unless the application's own are in use by now."""
    from pint import set_application_registry

    if registry is not None and not _units_used():
        set_application_registry(registry)


def _units_used() -> bool:
    """Whether the application's registry of units has been filled, which it is when it is first used."""
    from pint import UnitRegistry, get_application_registry

    return isinstance(get_application_registry().get(), UnitRegistry)
