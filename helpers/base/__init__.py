"""What every room may ask: checks of arguments, files written whole, the graph of a model. Imports nothing of ours."""
