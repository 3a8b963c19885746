"""Places: rooms, solved scenes, the ray tracer."""
