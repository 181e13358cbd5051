"""The user closes the window, and answers what is asked then."""

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


class Asked(QCloseEvent):
    """The user closes the window, as the desktop tells it."""

    def spontaneous(self):
        return True


def answer(text):
    """Press a button of the next question; what it asks is in the list that comes back, once it is asked."""
    asked = []

    def press():
        box = QApplication.activeModalWidget()
        if box is None:
            QTimer.singleShot(10, press)
            return
        asked.append(box.text())
        QTest.mouseClick(next(made for made in box.buttons() if made.text() == text), Qt.MouseButton.LeftButton)

    QTimer.singleShot(0, press)
    return asked
