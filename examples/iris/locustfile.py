"""Users that send one flower each: locust -H http://localhost:3000"""

import random

from locust import HttpUser, between, task
from sklearn.datasets import load_iris

FLOWERS = load_iris().data.tolist()


class Visitor(HttpUser):
    wait_time = between(0.01, 2)

    @task
    def classify(self):
        flower = random.choice(FLOWERS)
        with self.client.post(
            "/classify", json=[flower], catch_response=True
        ) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code}: {response.text[:200]}")
            elif response.json() not in ([0], [1], [2]):
                response.failure(f"no species: {response.text[:200]}")
