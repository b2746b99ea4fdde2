"""Token grids, masks, prompts and counter-based noise."""
