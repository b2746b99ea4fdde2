"""Training of codecs and transformers: data, losses, loops."""
