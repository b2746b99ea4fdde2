"""Model folders: load, save, list, download, install and convert models."""
