"""The parts of the simulated casting line: where things are, how they look, what moves, what happens when."""
