"""Pages to listen on: a recording and its takes in one HTML file, and a take in a notebook."""
