"""The services that benchmarks serve."""
