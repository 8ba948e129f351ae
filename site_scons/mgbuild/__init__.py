"""What the build does, in modules that know nothing of SCons. plan <- firmware <- device; firmware <- emulated."""
