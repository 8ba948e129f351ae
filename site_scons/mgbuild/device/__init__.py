"""What talks to a board: serial ports, writing flash, the console and its decoding."""
