"""The threshold laboratory: every rule scored again from the root's stored voxels."""
