"""What comes out: programs as ELF, the images that are flashed, the proof of memory and stack."""
