"""Networks and maps held against one another, and the strokes of other hands (notebooks 03, 05 and 11)."""
