"""Ray-traced paths: solved in a child process without TensorFlow, kept in a disk cache."""
