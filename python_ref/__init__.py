"""The reference: the same GPT twice in float64, for the firmware to be compared with."""
