"""Users by Locust, rung by rung, and what the server and they have measured."""
