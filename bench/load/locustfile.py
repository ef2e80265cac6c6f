"""Locust scenario: users browse, add and look up words, calculate, and upload a dataset.

    LOAD_URL                base URL of the service [http://127.0.0.1:3000]
    LOAD_TOKEN              API token, if the service requires one
    LOAD_RECEIPTS           1 also creates receipts, which cannot be deleted
    LOAD_MAX_ERROR_PERCENT  highest error rate of a step, in percent [1]
    LOAD_MAX_P95_MS         highest response time of a step at the 95th percentile, in ms [500]

The names of all other resources start with `load-`. Each journey deletes its resources at the end,
even if a step fails. The exit code is 1 if a step exceeds a limit. `gatling/` has the same journey.
"""

import os
from uuid import uuid4

from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.exception import RescheduleTask

MAX_ERROR_PERCENT = float(os.environ.get("LOAD_MAX_ERROR_PERCENT", "1"))
MAX_P95_MS = float(os.environ.get("LOAD_MAX_P95_MS", "500"))
RECEIPTS = os.environ.get("LOAD_RECEIPTS") == "1"
TOKEN = os.environ.get("LOAD_TOKEN")

COSTS = {"socks": 5, "shoes": 60}
CSV = "word\nyoda\nbest\nhas\n"


class Visitor(FastHttpUser):
    """A user who repeats the journey."""

    host = os.environ.get("LOAD_URL", "http://127.0.0.1:3000")
    wait_time = between(0, 1)
    default_headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}

    def on_start(self) -> None:
        self.undeleted: list[str] = []

    def on_stop(self) -> None:
        """Retries failed deletions, because the service may have recovered."""
        for path in self.undeleted:
            self.delete(path)

    @task
    def journey(self) -> None:
        """Runs all steps. A failed step ends the journey; its resources are still deleted."""
        name = f"load-{uuid4().hex}"
        created = [
            f"/api/v2/entries/{name}-1",
            f"/api/v2/entries/{name}-2",
            f"/api/v1/price-lists/{name}",
        ]
        try:
            self.browse()
            self.look_up(name)
            self.spend(name)
            self.upload(name, created)
        finally:
            self.undeleted += [path for path in created if not self.delete(path)]

    def browse(self) -> None:
        self.call("home", "GET", "/", {200}, {"status": "healthy"})
        self.call("list", "GET", "/api/v2/entries?limit=10", {200})

    def look_up(self, name: str) -> None:
        for number in (1, 2):
            entry = {"definition": f"Number {number}"}
            self.call("add", "PUT", f"/api/v2/entries/{name}-{number}", {201}, entry, json=entry)
        entry = {"word": f"{name}-1", "definition": "Number 1"}
        self.call("look up", "GET", f"/api/v1/look/{name}-1", {200}, entry)
        self.call("look up missing word", "GET", f"/api/v1/look/{name}-3", {404})
        pages = f"/api/v2/entries?prefix={name}&limit=1"
        cursor = self.call("first page", "GET", pages, {200})["next"]
        self.call("last page", "GET", f"{pages}&after={cursor}", {200}, {"next": None})

    def spend(self, name: str) -> None:
        path = f"/api/v1/price-lists/{name}"
        self.call("store prices", "PUT", path, {201}, {"costs": COSTS}, json={"costs": COSTS})
        order = {"price_list": name, "items": ["socks", "shoes"], "tax": 0.09}
        self.call("spend", "POST", "/api/v1/spending", {200}, {"total": 70.85}, json=order)
        if RECEIPTS:
            key = {"Idempotency-Key": name}
            buy = ("POST", "/api/v1/receipts", {201})
            receipt = self.call("buy", *buy, {"total": "70.85"}, json=order, headers=key)
            self.call("buy again", *buy, {"id": receipt["id"]}, json=order, headers=key)

    def upload(self, name: str, created: list[str]) -> None:
        path = f"/api/v1/datasets?name={name}"
        csv = {"Content-Type": "text/csv"}
        dataset = self.call("upload", "POST", path, {201}, {"rows": 3}, data=CSV, headers=csv)
        path = f"/api/v1/datasets/{dataset['id']}"
        created.append(path)
        kata = {"kata": "nth-char", "column": "word"}
        self.call("run", "POST", f"{path}/runs", {201}, {"result": {"word": "yes"}}, json=kata)

    def delete(self, path: str) -> bool:
        """Deletes a resource; returns whether it no longer exists."""
        try:
            self.call("remove", "DELETE", path, {204, 404})
        except RescheduleTask:
            return False
        return True

    def call(
        self,
        step: str,
        method: str,
        path: str,
        statuses: set[int],
        expected: dict | None = None,
        **request,
    ) -> dict:
        """Calls a route; returns its JSON response, which must contain `expected`."""
        with self.client.request(
            method, path, name=step, catch_response=True, **request
        ) as response:
            text = response.text or ""
            if response.status_code not in statuses:
                response.failure(f"{response.status_code}: {text[:200]}")
                raise RescheduleTask
            json = response.json() if text else {}
            if expected is not None and not expected.items() <= json.items():
                response.failure(f"expected {expected}: {text[:200]}")
                raise RescheduleTask
            response.success()
            return json


@events.quitting.add_listener
def check_limits(environment: Environment, **_) -> None:
    """Sets the exit code, and prints the exceeded limits."""
    exceeded = [] if environment.stats.total.num_requests else ["no requests were made"]
    for entry in environment.stats.entries.values():
        errors = entry.fail_ratio * 100
        if errors > MAX_ERROR_PERCENT:
            exceeded.append(f"{entry.name}: {errors:.1f} % errors, limit {MAX_ERROR_PERCENT} %")
        p95 = entry.get_response_time_percentile(0.95)
        if p95 > MAX_P95_MS:
            exceeded.append(f"{entry.name}: {p95:.0f} ms at p95, limit {MAX_P95_MS:.0f} ms")
    print("\n".join(exceeded) or "all steps are within the limits")
    environment.process_exit_code = 1 if exceeded else 0
