"""Audio codecs: mono audio to tokens and back."""
