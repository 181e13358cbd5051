"""How good a translation is without labels of the target: one measure a file."""
