"""What is known about a labelled pixel, as stored in `state` arrays."""

MODEL = 0
"""Nobody looked yet: the pixel shows what the newest proposal says."""

ACCEPTED = 1
"""Seen by the user and found right, or part of masks that came with the image."""

CORRECTED = 2
"""Painted by the user."""

IGNORED = 3
"""Left out of learning and scores."""
