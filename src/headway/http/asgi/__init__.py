"""The ASGI side of the HTTP server: middleware, mounts, and `headway.asgi_app`."""
