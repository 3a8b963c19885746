"""Training of layers as a recursion, over several GPUs, with event files."""
