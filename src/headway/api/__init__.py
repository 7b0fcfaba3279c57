"""The API worker: admits requests, runs API functions, carries their runner calls."""
