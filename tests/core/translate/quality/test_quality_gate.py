import pytest

from histobridge.core.config import MatchConfig
from histobridge.core.errors import ProjectError
from histobridge.core.project import Project
from histobridge.core.translate.quality.gate import check_translator
from histobridge.core.translate.quality.report import Quality, write_quality


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "project")


@pytest.fixture
def run(project):
    return project.create_run("train-translator", MatchConfig())


def test_a_failed_translator_makes_no_proposals_unless_the_user_insists(project, run):
    write_quality(run.path, Quality(ways={}, verdict="failed", reasons=("Borders lie 3.0 px from those.",)))
    with pytest.raises(ProjectError, match=r"failed its checks: Borders lie 3\.0 px .* `insist`"):
        check_translator(project, run.id, insist=False)
    check_translator(project, run.id, insist=True)


@pytest.mark.parametrize("verdict", ["good", "doubtful"])
def test_others_may_make_proposals(project, run, verdict):
    check_translator(project, run.id, insist=False)
    write_quality(run.path, Quality(ways={}, verdict=verdict))
    check_translator(project, run.id, insist=False)


@pytest.mark.parametrize("name", ["instant", "identity"])
def test_what_was_not_trained_cannot_fail(project, name):
    check_translator(project, name, insist=False)
