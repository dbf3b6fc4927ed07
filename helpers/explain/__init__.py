"""Why the network answers as it does: attributions, networks with another way back, attacks (notebook 08)."""
