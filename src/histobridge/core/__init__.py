"""Everything that computes: no Qt, no napari, no engine."""
