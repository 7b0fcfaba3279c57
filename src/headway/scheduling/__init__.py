"""Pure decisions: state and `now` in, a decision out; no I/O and no clock."""
