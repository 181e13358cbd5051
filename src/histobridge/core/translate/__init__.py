"""Give images of one modality the look of the other."""
