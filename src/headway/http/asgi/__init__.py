"""The ASGI side of the edge: middleware, mounts, and `headway.asgi_app`."""
