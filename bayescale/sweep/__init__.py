"""Many fits at once: data sets in chunks of a fixed shape, on whatever devices there are."""
