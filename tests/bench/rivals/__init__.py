"""What the benchmark compares with: the ways in which one would otherwise read a space."""
