"""The configuration: schema declares settings, resolution finds their values."""
