"""Run a task over files: inputs, outputs, parallel work, written results."""
