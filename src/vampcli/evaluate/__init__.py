"""How good a model is: metrics, and the experiments that use them. Inference never imports this."""
