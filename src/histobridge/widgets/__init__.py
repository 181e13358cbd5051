"""The napari dock: pages that assemble forms, start jobs and show what they made."""
