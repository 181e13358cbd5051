"""The area that pages are scrolled in."""

from qtpy.QtWidgets import QScrollArea


class PageScroll(QScrollArea):
    """Stays where it is when the button that was clicked is switched off.

    Qt then hands the focus on, and scrolls to whatever gets it.
    """

    def focusNextPrevChild(self, forwards: bool) -> bool:
        """Hand the focus on; scroll to what gets it only if the user asked for that, by Tab."""
        focused = self.window().focusWidget()
        bar = self.verticalScrollBar()
        at = bar.value()
        moved = super().focusNextPrevChild(forwards)
        if focused is not None and not focused.isEnabled():
            bar.setValue(at)
        return moved
