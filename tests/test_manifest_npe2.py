"""What napari is told of the plugin."""

from importlib.metadata import distribution

from npe2 import PluginManifest


def test_the_manifest_is_valid_and_everything_it_names_can_be_imported():
    manifest = PluginManifest.from_distribution("napari-histobridge")
    manifest.validate_imports()
    assert manifest.name == distribution("napari-histobridge").metadata["Name"]


def test_the_dock_and_the_sample_are_offered():
    manifest = PluginManifest.from_distribution("napari-histobridge")
    assert [widget.display_name for widget in manifest.contributions.widgets] == ["HistoBridge"]
    assert [sample.key for sample in manifest.contributions.sample_data] == ["two_modalities"]
