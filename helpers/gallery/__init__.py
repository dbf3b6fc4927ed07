"""Pictures to keep: textures without an edge, prints in ink (notebook 12)."""
