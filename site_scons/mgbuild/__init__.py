"""What the build knows, as ordinary Python: no module here imports SCons."""
