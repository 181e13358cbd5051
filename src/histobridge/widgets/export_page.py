"""Page 7: write masks where other programs read them."""

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

from histobridge.core.config import ExportConfig
from histobridge.widgets.form import ConfigForm
from histobridge.widgets.form_editors import SeveralEditor
from histobridge.widgets.page import WARNING_STYLE, Note, Page, button, row

FORMATS = {
    "ome-zarr": "OME-Zarr: image, labels, confidence",
    "png": "PNG: label maps for any program",
    "tiff": "TIFF: label maps with the pixel size",
    "table": "Table (CSV): fibres and their g-ratios",
}


class ExportPage(Page):
    """Formats, folder, and the result after it was read back."""

    title = "Export"
    sentence = "Write images and labels for other programs: what you reviewed, and the proposals elsewhere."

    def build(self) -> None:
        self.form = ConfigForm(ExportConfig(), main=("formats", "out", "reviewed_only"), labels={"out": "Folder"})
        formats = self.form.editors["formats"]
        assert isinstance(formats, SeveralEditor)
        formats.describe(FORMATS)
        self.start_button = button("Export", self.start, primary=True)
        self.result = Note()
        self.notes = Note(style=WARNING_STYLE)
        self.open_button = button("Open folder", self._open_folder)
        for widget in (self.form, self.start_button, self.result, self.notes, row(self.open_button)):
            self.body.addWidget(widget)

    def refresh(self) -> None:
        project = self.session.project
        if project is None:
            return
        config = self.form.config()
        if config is not None and config.out == ExportConfig().out:
            self.form.set(out=project.path / "export")
        self.missing.say("" if project.images() else "There are no images yet. Add some on the Images page.")
        busy = any(item.verb == "export" for item in self.session.running())
        self.start_button.setEnabled(bool(project.images()) and not busy)
        newest = self.session.newest("export", status="finished")
        self.open_button.setVisible(newest is not None)
        if newest is None:
            self.result.say("")
            self.notes.say("")
            return
        written = newest.state.result.get("written", [])
        lines = [
            f"✓ {each['image']} ({each['format']}): read back and compared, "
            f"{'identical' if each['identical'] else 'DIFFERENT'}; {each['reviewed_fraction']:.0%} reviewed"
            for each in written
        ]
        self.result.say("\n".join([*lines, f"in {newest.state.result.get('out', '')}"]))
        self.notes.say("\n".join(newest.state.result.get("notes", [])))

    def start(self) -> None:
        """Export what is on disk; every finished stroke is."""
        config = self.form.config()
        if config is not None:
            for flush in self.session.flushers:
                flush()
            self.session.submit("export", config)
            self.form.set(replace=False)  # of the next folder she decides anew
        self.refresh()

    def _open_folder(self) -> None:
        newest = self.session.newest("export", status="finished")
        if newest is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(newest.state.result["out"])))
