"""Long-range electrostatics: sums over periodic images, their accuracy, and the systems they are checked on."""
