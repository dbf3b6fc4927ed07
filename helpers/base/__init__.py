"""What every room may ask: checks, faults of a climb, files written whole, the graph of a model, interrupts.

Imports nothing of ours.
"""
