"""What is prepared while nothing is open: done once, in one thread, never in place of what is in use."""

import subprocess
import sys

CODE = """
import sys
import pint
from qtpy.QtCore import QCoreApplication
from histobridge.widgets.session import Session
from histobridge.widgets.warm_up import WarmUp, prepare, use_units
{before}
app = QCoreApplication([])
session = Session()
warm = WarmUp(session, session)
warm.start()
loaded = set(sys.modules)
{meanwhile}
for _ in range(2_000_000):
    app.processEvents()
    if {done}:
        break
{after}
session.close()
"""


def run(before="", meanwhile="", done="False", after=""):
    code = CODE.format(before=before, meanwhile=meanwhile, done=done, after=after)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def test_units_are_read_in_the_background_and_agree_with_pint_s_own():
    done = run(
        before="assert type(pint.get_application_registry().get()) is pint.LazyRegistry",
        done="type(pint.get_application_registry().get()) is pint.UnitRegistry",
        after="assert loaded == set(sys.modules), 'nothing is imported in the background';"
        "made = pint.Unit('um'); own = pint.UnitRegistry();"
        "assert str(pint.Quantity(3, 'um').to('mm')) == str(own.Quantity(3, 'um').to('mm'));"
        "assert dir(pint.get_application_registry()) == dir(own);"
        "assert made == pint.get_application_registry().Unit('micrometer')",
    )
    assert not done.returncode, done.stderr


def test_units_that_are_in_use_stay():
    code = (
        "import pint; from histobridge.widgets.warm_up import prepare, use_units\n"
        "made = prepare(); assert made is not None\n"
        "used = pint.Unit('um'); mine = pint.get_application_registry().get()\n"
        "use_units(made); assert pint.get_application_registry().get() is mine\n"
        "assert used == pint.Unit('um'); assert prepare() is None"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def test_a_session_that_closes_meanwhile_waits_for_it_and_ends():
    done = run(meanwhile="session.later(prepare, use_units); session.close()", done="True")
    assert not done.returncode, done.stderr
    assert not done.stderr
