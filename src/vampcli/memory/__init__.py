"""The recording as its own model: find similar places and edit them."""
