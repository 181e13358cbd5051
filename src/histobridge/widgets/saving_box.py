"""What is shown while labels are written, which takes seconds after hundreds of edited tiles of a large image."""

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QDialog, QLabel, QProgressBar, QVBoxLayout, QWidget

from histobridge.widgets.kept_stores import KeptStores

PATIENCE_S = 0.3
"""So long it may take before anything is shown."""
LOOK_MS = 50


class SavingBox(QDialog):
    """Goes by itself when all labels are written; nothing else can be done meanwhile, but the window lives.

    Parameters
    ----------
    parent : QWidget
    kept : KeptStores
    """

    def __init__(self, parent: QWidget, kept: KeptStores):
        super().__init__(parent)
        self._kept = kept
        self.setWindowTitle("HistoBridge")
        self.setModal(True)
        self.setWindowFlag(Qt.WindowType.WindowCloseButtonHint, on=False)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Labels saved")
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("Saving labels… Every stroke is safe in the journal already."))
        layout.addWidget(self.bar)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(LOOK_MS)

    def look(self) -> None:
        """Show how far it is; close when it is done."""
        progress = self._kept.progress()
        if progress is None:
            self.accept()
            return
        done, parts = progress
        self.bar.setRange(0, parts)
        self.bar.setValue(done)

    def reject(self) -> None:
        """Stay: the Escape key does not end it."""

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stay until all is written."""
        if event is not None and self._kept.progress() is not None:
            event.ignore()


def show_saving(parent: QWidget, kept: KeptStores) -> None:
    """Wait until all labels are written, and show it if that takes long."""
    if not kept.wait(PATIENCE_S):
        box = SavingBox(parent, kept)
        box.exec()
        box.deleteLater()
