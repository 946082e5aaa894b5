"""`make demo`: the main job from end to end, every step of it checked."""
