"""`scons tune`: which shape, learning rate and steps give the best model that a chip trains in the time there is."""
