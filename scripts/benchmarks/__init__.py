"""Measures the project beside Keras and PyTorch; `scripts/bench` starts it.

A *row* is something to do. Its *contestants* are programs that do it: ours first, then peers. Each is
a command that prints a JSON line for every repetition: `seconds` for so many `units`, and the
`processor_seconds` of all threads, which hardly change when others use the machine. Contestants run in
turn, round after round, on the same cores, so that what disturbs one disturbs all.
"""
