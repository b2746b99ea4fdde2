"""Metadata of sound files: tags, pictures, markers, time stamps."""
