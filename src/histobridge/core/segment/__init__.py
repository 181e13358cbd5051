"""Learn labels and predict them."""
