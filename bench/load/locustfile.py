"""What a user of a deployed katas does, for Locust: browse, add, look up, spend, buy, upload.

    LOAD_URL                where the service is [http://127.0.0.1:3000]
    LOAD_TOKEN              its api_token, when it has one
    LOAD_RECEIPTS           1: buy, too; a receipt cannot be removed, so it stays
    LOAD_MAX_ERROR_PERCENT  fails when a step has more errors than this [1]
    LOAD_MAX_P95_MS         fails when a step takes longer than this, at the 95th percentile [500]

Whatever else it makes has a name that begins with `load-`, and is removed at the end of the
journey, whatever fails. The exit code is 1 when a limit is exceeded. `gatling/` has the same
journey.
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
    """One user, who begins anew after each journey."""

    host = os.environ.get("LOAD_URL", "http://127.0.0.1:3000")
    wait_time = between(0, 1)
    default_headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}

    def on_start(self) -> None:
        self.left: list[str] = []

    def on_stop(self) -> None:
        """Removes what could not be removed before: the service may be well again."""
        for path in self.left:
            self.remove(path)

    @task
    def journey(self) -> None:
        """All steps. One that fails ends the journey, but for the removal of what was made."""
        name = f"load-{uuid4().hex}"
        made = [
            f"/api/v2/entries/{name}-1",
            f"/api/v2/entries/{name}-2",
            f"/api/v1/price-lists/{name}",
        ]
        try:
            self.browse()
            self.look_up(name)
            self.spend(name)
            self.upload(name, made)
        finally:
            self.left += [path for path in made if not self.remove(path)]

    def browse(self) -> None:
        self.call("home", "GET", "/", {200}, {"status": "healthy"})
        self.call("list", "GET", "/api/v2/entries?limit=10", {200})

    def look_up(self, name: str) -> None:
        for number in (1, 2):
            entry = {"definition": f"Number {number}"}
            self.call("add", "PUT", f"/api/v2/entries/{name}-{number}", {201}, entry, json=entry)
        entry = {"word": f"{name}-1", "definition": "Number 1"}
        self.call("look up", "GET", f"/api/v1/look/{name}-1", {200}, entry)
        self.call("look up in vain", "GET", f"/api/v1/look/{name}-3", {404})
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

    def upload(self, name: str, made: list[str]) -> None:
        path = f"/api/v1/datasets?name={name}"
        csv = {"Content-Type": "text/csv"}
        dataset = self.call("upload", "POST", path, {201}, {"rows": 3}, data=CSV, headers=csv)
        path = f"/api/v1/datasets/{dataset['id']}"
        made.append(path)
        kata = {"kata": "nth-char", "column": "word"}
        self.call("run", "POST", f"{path}/runs", {201}, {"result": {"word": "yes"}}, json=kata)

    def remove(self, path: str) -> bool:
        """Whether it is gone."""
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
        answer: dict | None = None,
        **request,
    ) -> dict:
        """The JSON of the answer, in which at least `answer` is expected."""
        with self.client.request(
            method, path, name=step, catch_response=True, **request
        ) as response:
            text = response.text or ""
            if response.status_code not in statuses:
                response.failure(f"{response.status_code}: {text[:200]}")
                raise RescheduleTask
            json = response.json() if text else {}
            if answer is not None and not answer.items() <= json.items():
                response.failure(f"not {answer}: {text[:200]}")
                raise RescheduleTask
            response.success()
            return json


@events.quitting.add_listener
def judge(environment: Environment, **_) -> None:
    """Sets the exit code, and tells why."""
    exceeded = [] if environment.stats.total.num_requests else ["nothing was called"]
    for entry in environment.stats.entries.values():
        errors = entry.fail_ratio * 100
        if errors > MAX_ERROR_PERCENT:
            exceeded.append(f"{entry.name}: {errors:.1f} % errors, more than {MAX_ERROR_PERCENT}")
        p95 = entry.get_response_time_percentile(0.95)
        if p95 > MAX_P95_MS:
            exceeded.append(f"{entry.name}: {p95:.0f} ms at p95, more than {MAX_P95_MS:.0f}")
    print("\n".join(exceeded) or "all within the limits")
    environment.process_exit_code = 1 if exceeded else 0
