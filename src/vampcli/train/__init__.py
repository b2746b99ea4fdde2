"""Training: data, losses, the loop and what learns in it. Inference never imports this."""
