"""The editor in a browser: a local server, one worker, sessions of windows."""
