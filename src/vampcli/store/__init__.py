"""Models from elsewhere: where they can be had, fetching, keeping, checking them."""
