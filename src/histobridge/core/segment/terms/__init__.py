"""Terms that a training adds to its loss, one small class each."""
