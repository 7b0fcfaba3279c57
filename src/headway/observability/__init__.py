"""What a server reports: request IDs, access log, traces, and the live page."""
