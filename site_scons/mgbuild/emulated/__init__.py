"""What runs without a board: the emulated core, and what is counted on it."""
