"""Load tests with Locust, with the measurements of the users and of the server."""
