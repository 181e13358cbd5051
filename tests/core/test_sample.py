"""The sample project: labelled source, unlabelled target, the truth aside."""

import numpy as np
import pytest

from histobridge.core.errors import InputError
from histobridge.core.project import Project
from histobridge.core.sample import make_sample_project, read_truth
from histobridge.core.synthetic import two_modalities


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_sample_project(tmp_path_factory.mktemp("sample") / "project", fields=2, size=128)


def test_source_has_labels_and_target_has_none(project):
    source, target = project.images("source"), project.images("target")
    assert [len(source), len(target)] == [2, 2]
    everything = (slice(0, 128), slice(0, 128))
    fields = two_modalities(2, 128)
    for record, field in zip(source, fields[:2], strict=True):
        classes, state = project.labels(record.id).read(everything)
        assert np.array_equal(classes, field.classes)
        assert (state == 1).all()
        assert record.has_masks
    for record in target:
        assert not project.labels(record.id).exists
        assert not record.has_masks


def test_images_keep_pixels_size_and_subject(project):
    for record, field in zip(project.images(), two_modalities(2, 128), strict=True):
        pyramid = project.pixels(record.id)
        assert np.array_equal(pyramid.read((slice(None), slice(None))), field.image)
        assert pyramid.pixel_size_um == record.pixel_size_um == field.pixel_size_um
        assert (record.subject, record.domain) == (field.subject, field.domain)


def test_truth_of_the_target_lies_aside(project):
    for record, field in zip(project.images("target"), two_modalities(2, 128)[2:], strict=True):
        assert np.array_equal(read_truth(project, record.id), field.classes)


def test_the_project_opens_again_and_is_not_locked(project):
    again = Project.open(project.path)
    assert again.manifest == project.manifest
    assert again.lock.holder() is None
    assert [run.state().status for run in again.runs("add")] == ["finished", "finished"]


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="not an empty folder"):
        make_sample_project(tmp_path)
