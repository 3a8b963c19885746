"""Random hops between two nodes, and their moments."""
