"""Forward error correction: the layered LDPC decoder, and the demapper before it."""
