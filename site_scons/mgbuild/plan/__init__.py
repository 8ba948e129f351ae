"""What is to be built: options, targets, the shape of the model, the text, sources and compilers."""
