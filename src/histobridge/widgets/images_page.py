"""Page 1: images in, by files, folders, drag and drop, open layers or the sample."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton, QWidget

from histobridge.core.config import AddImagesConfig, Domain
from histobridge.widgets.class_table import ClassTable
from histobridge.widgets.form import ConfigForm, Fold
from histobridge.widgets.image_list import ImageList
from histobridge.widgets.incoming import sample_files, save_layers
from histobridge.widgets.open_layers import take
from histobridge.widgets.page import WARNING_STYLE, Note, Page, button, heading, row
from histobridge.widgets.session import Followed

if TYPE_CHECKING:
    from napari.layers import Image

NAMES: dict[Domain, str] = {"source": "Source: with labels", "target": "Target: labels wanted"}


class ImagesPage(Page):
    """Two lists, source and target, and the class table."""

    title = "Images"
    sentence = "Bring in images that have labels (source) and images that want some (target). Drop files on a list."

    def build(self) -> None:
        self.lists: dict[Domain, ImageList] = {}
        self.empty: dict[Domain, Note] = {}
        self.add_buttons: list[QWidget] = []
        for domain, name in NAMES.items():
            self.body.addWidget(heading(name))
            made = ImageList(self.session, domain)
            made.dropped.connect(lambda paths, domain=domain: self.add_files(domain, paths))
            made.opened.connect(
                lambda image_id, domain=domain: self.go("review", domain=domain, image=image_id, tile="")
            )
            self.lists[domain], self.empty[domain] = made, Note()
            self.body.addWidget(self.empty[domain])
            self.body.addWidget(made)
            self.body.addWidget(row(*self._add_buttons(domain)))
        self.problems = Note(style=WARNING_STYLE)
        self.body.addWidget(self.problems)
        self.form = ConfigForm(AddImagesConfig(), hidden=("domain", "paths"))
        self.how = Fold("How files are read", self.form)
        self.body.addWidget(self.how)
        self.body.addWidget(heading("Classes"))
        self.classes = ClassTable(self.session)
        self.body.addWidget(self.classes)

    def _add_buttons(self, domain: Domain) -> list[QWidget]:
        layers = QPushButton("Open layer ▾")
        layers.setStyleSheet("QPushButton::menu-indicator { image: none; width: 0px; }")
        layers.setToolTip("Take an image that is open in napari, with a labels layer of the same size as its labels")
        menu = QMenu(layers)
        menu.aboutToShow.connect(lambda: self.fill_layers(menu, domain))
        layers.setMenu(menu)
        made = [
            button("Files…", lambda: self._ask_files(domain), "PNG, TIFF, OME-TIFF"),
            button("Folder…", lambda: self._ask_folder(domain), "A folder of images, a BIDS dataset, an OME-Zarr"),
            layers,
        ]
        if domain == "source":
            made.append(button("Sample", self.add_sample, "Made-up nerve fields in two modalities, to try things out"))
        self.add_buttons += made
        return made

    # -- show ------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        project = self.session.project
        if project is None:
            return
        for domain, table in self.lists.items():
            table.refresh(project)
            count = len(project.images(domain))
            teach = f"No {domain} images yet. Drop a folder here, or try the sample."
            self.empty[domain].say("" if count else teach)
            table.setMaximumHeight(150 if count < 4 else 240)
        self.classes.refresh(project)
        for widget in self.add_buttons:
            widget.setEnabled(self.session.editable)
        unknown = [record.id for record in project.images() if record.pixel_size_um is None]
        self.missing.say(f"The pixel size of {len(unknown)} image(s) is unknown: type it in (red)." if unknown else "")
        self._tell()

    def follow(self, item: Followed) -> None:
        if item.verb == "add":
            self._tell()

    def _tell(self) -> None:
        """Say what the imports since the project was opened left aside, or the last one before."""
        ended = [each for each in self.session.followed.values() if each.verb == "add" and each.state.result]
        lines = []
        for item in [each for each in ended if each.watched] or ended[-1:]:
            problems = item.state.result.get("problems", [])
            lines += [f"{Path(each['file']).name}: {each['problem']}. {_sentence(each['remedy'])}" for each in problems]
            lines += [_sentence(note) for note in item.state.result.get("notes", [])]
        self.problems.say("\n".join(lines))

    # -- add -------------------------------------------------------------------------------------------------------

    def add_files(self, domain: Domain, paths: Sequence[Path], masks: Sequence[Path] = ()) -> None:
        """Start the import of files and folders."""
        config = self.form.config()
        if config is None:
            self.how.unfold()  # It says there what is wrong.
        elif paths:
            changes = {"domain": domain, "paths": tuple(paths), "masks": tuple(masks) or config.masks}
            self.session.submit("add", AddImagesConfig.model_validate(config.model_dump() | changes))

    def add_sample(self) -> None:
        """Write the sample's files into the project and import them."""
        project = self.session.project
        if project is None:
            return
        self.session.later(lambda: sample_files(project.path / "incoming" / "sample"), self._add_written)

    def _add_written(self, written: Sequence[AddImagesConfig]) -> None:
        for config in written:
            self.session.submit("add", config)

    def fill_layers(self, menu: QMenu, domain: Domain) -> None:
        """List the image layers that are not ours."""
        menu.clear()
        for layer in self.canvas.open_images():
            menu.addAction(layer.name, lambda layer=layer: self.add_layer(domain, layer))
        if menu.isEmpty():
            menu.addAction("No image layer is open").setEnabled(False)

    def add_layer(self, domain: Domain, layer: "Image") -> None:
        """Import an image layer, with a labels layer of the same size as its labels."""
        project, config = self.session.project, self.form.config()
        if project is None or config is None:
            return
        taken = take(layer, self.canvas.open_masks())
        known = config.model_copy(update={"domain": domain})
        self.session.later(lambda: save_layers(project.path / "incoming", taken, known), self._add_written)

    def _ask_files(self, domain: Domain) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, f"Images of the {domain}")
        self.add_files(domain, [Path(name) for name in names])

    def _ask_folder(self, domain: Domain) -> None:
        name = QFileDialog.getExistingDirectory(self, f"Folder with images of the {domain}")
        self.add_files(domain, [Path(name)] if name else [])


def _sentence(text: str) -> str:
    """Begin with a capital letter."""
    return text[:1].upper() + text[1:]
