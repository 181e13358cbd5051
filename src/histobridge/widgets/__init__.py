"""What the user sees; nothing here computes."""
