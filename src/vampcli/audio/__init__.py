"""Sound files and signals: reading, writing, resampling, loudness, splicing, beats."""
