"""Open microscopy images of any common kind as lazy 2-D arrays."""
