"""The pictures that README shows: made by `scons pictures` from real runs, for light and dark pages."""
