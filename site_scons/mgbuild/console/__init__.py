"""A program's console: its bytes as lines, its training as figures, a view for terminal or pipe, and keys."""
