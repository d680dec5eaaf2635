"""What it does, in pictures."""
