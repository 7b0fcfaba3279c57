"""Reports of measurements: one self-contained HTML file each."""
