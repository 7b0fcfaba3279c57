"""What every layer uses: clock, logging, run folder, method specs, process setup."""
