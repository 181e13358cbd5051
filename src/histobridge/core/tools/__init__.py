"""Tools of the Review page: pure functions from one tile as shown to the tile as it should be."""
