"""Settings: schema says what there is, resolve finds what holds, document writes it."""
