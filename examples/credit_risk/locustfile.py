"""Users that send real credit applications: locust -H http://localhost:3000"""

import random

from applications import read_applications
from locust import HttpUser, between, task

APPLICATIONS, _ = read_applications()
STATUSES = {"APPROVED", "DECLINED"}


class Applicant(HttpUser):
    wait_time = between(0.01, 2)

    @task
    def classify(self):
        application = random.choice(APPLICATIONS)
        with self.client.post(
            "/classify", json=application, catch_response=True
        ) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code}: {response.text[:200]}")
            elif response.json().get("status") not in STATUSES:
                response.failure(f"no status: {response.text[:200]}")
