"""The plain records and protocols that flow through benchkit; standard library and NumPy only."""
