import subprocess
import sys

import pytest

from histobridge.core.choice import Evidence, decide, read_choice, write_choice
from histobridge.core.config import ProposeConfig
from histobridge.core.errors import InputError, ProjectError
from histobridge.core.project import Project

GOOD = Evidence(consistency=0.9, reverse=0.75, enclosure=0.9, size=0.7, g_ratio=1.0)


def but(**measures):
    return GOOD.model_copy(update=measures)


def test_total_is_the_mean_without_consistency_and_without_what_is_unknown_of_any_route():
    choice = decide({"tutorship": GOOD, "adaptation": but(reverse=None, g_ratio=None)}, 0.5)
    assert choice.evidence["tutorship"].total == choice.evidence["adaptation"].total == pytest.approx((0.9 + 0.7) / 2)
    assert decide({"tutorship": GOOD}, 0.5).evidence["tutorship"].total == pytest.approx((0.75 + 0.9 + 0.7 + 1.0) / 4)


def test_a_route_alone_is_chosen_and_it_is_said_that_it_was_alone():
    choice = decide({"tutorship": GOOD}, 1.0)
    assert (choice.chosen, choice.reason) == ("tutorship", "Tutorship: there was no other route to compare it with.")


@pytest.mark.parametrize("better", ["tutorship", "adaptation"])
def test_a_clear_lead_decides_and_the_reason_names_what_leads_most(better):
    worse = "adaptation" if better == "tutorship" else "tutorship"
    evidence = {better: GOOD, worse: but(enclosure=0.6, size=0.5, reverse=0.74)}
    choice = decide(evidence, 0.7)
    assert choice.chosen == better
    assert not choice.tie
    assert choice.reason.startswith(f"{better.capitalize()} is more plausible: closed rings 0.90 against 0.60, object")


def test_a_small_lead_is_no_reason_to_choose_and_is_told():
    choice = decide({"tutorship": GOOD, "adaptation": but(size=0.6)}, 0.7)
    assert (choice.chosen, choice.tie) == ("fused", True)
    assert "do not differ enough to tell which is better" in choice.reason


def test_routes_that_propose_the_same_are_not_chosen_between():
    choice = decide({"tutorship": GOOD, "adaptation": but(size=0.3)}, 0.93)
    assert (choice.chosen, choice.tie) == ("fused", True)
    assert "The routes agree (Dice 0.93)" in choice.reason


@pytest.mark.parametrize("measure", ["consistency", "reverse", "enclosure", "size", "g_ratio"])
def test_a_route_that_is_far_worse_in_anything_is_ruled_out(measure):
    best = Evidence(consistency=0.9, reverse=0.9, enclosure=0.9, size=0.9, g_ratio=0.9)
    choice = decide({"tutorship": best, "adaptation": best.model_copy(update={measure: 0.2})}, 0.5)
    assert choice.chosen == "tutorship"
    assert "adaptation is far worse in" in choice.reason
    assert "0.20 against 0.90 of tutorship" in choice.reason


def test_a_route_that_is_ruled_out_is_not_fused_in_even_when_the_total_is_higher():
    lopsided = Evidence(consistency=0.1, reverse=1.0, enclosure=1.0, size=1.0, g_ratio=1.0)
    assert decide({"tutorship": GOOD, "adaptation": lopsided}, 0.95).chosen == "tutorship"


def test_two_poor_routes_come_with_a_warning():
    poor = Evidence(consistency=0.5, reverse=0.2, enclosure=0.3, size=0.2)
    choice = decide({"tutorship": poor, "adaptation": poor}, 0.4)
    assert choice.tie
    assert "check the proposals, and the matching" in choice.reason


def test_without_routes_there_is_nothing_to_decide():
    with pytest.raises(InputError, match="no route to choose from"):
        decide({}, 1.0)


def test_a_choice_is_read_as_it_was_written(tmp_path):
    run = Project.create(tmp_path / "project").create_run("propose", ProposeConfig(route="auto"))
    assert read_choice(run) is None
    choice = decide({"tutorship": GOOD, "adaptation": but(g_ratio=None)}, 0.7)
    write_choice(run, choice)
    assert read_choice(run) == choice


@pytest.mark.parametrize("text", ["{", "[]", '{"chosen": "fused"}'])
def test_a_damaged_choice_is_told_with_the_remedy(tmp_path, text):
    run = Project.create(tmp_path / "project").create_run("propose", ProposeConfig(route="auto"))
    (run.path / "choice.json").write_text(text)
    with pytest.raises(ProjectError, match=r"choice\.json .*propose labels again"):
        read_choice(run)


def test_reading_a_choice_loads_no_torch():
    code = "import sys, histobridge.core.choice; print({'torch', 'scipy', 'zarr'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
