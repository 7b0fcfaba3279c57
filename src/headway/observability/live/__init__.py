"""The live page: a record of each second of the last 15 minutes, and what shows it.

Once a second a Recorder, in the supervisor or the only process, reads all counters,
makes a second of them and writes it to a file; any API worker serves it from there.
"""
