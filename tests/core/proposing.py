"""What tests of proposals share."""

from histobridge.core.proposals import read_proposal


def contents(loop, run, image_id):
    return read_proposal(loop.project, run.id, image_id, loop.whole)


def cancel_when(run, text):
    """Watch a job and stop it once its message names `text`."""

    def watch(progress):
        if text in progress.message:
            run.request_cancel()

    return watch
