"""What travels between an API function and a model: calls one way, results back."""
