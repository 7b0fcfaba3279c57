"""Traces by OpenTelemetry's SDK: which requests, under which parents, sent where."""
