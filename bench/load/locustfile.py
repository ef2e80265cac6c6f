"""Locust scenario: runs the journey of `journey.json`, as `gatling/` does.

docs/OPERATIONS.md lists the environment variables, and bench/README.md the fields of a step. The
exit code is 1 if a step exceeds a limit.
"""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.exception import RescheduleTask

MAX_ERROR_PERCENT = float(os.environ.get("LOAD_MAX_ERROR_PERCENT", "1"))
MAX_P95_MS = float(os.environ.get("LOAD_MAX_P95_MS", "500"))
RECEIPTS = os.environ.get("LOAD_RECEIPTS") == "1"
TOKEN = os.environ.get("LOAD_TOKEN")

VARIABLE = re.compile(r"#\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A request, and the response that it requires. An unknown field is an error."""

    name: str
    method: str
    path: str
    statuses: list[int]
    headers: dict[str, str] = field(default_factory=dict)
    json: object = None
    text: str | None = None
    expect: dict[str, object] = field(default_factory=dict)
    save: dict[str, str] = field(default_factory=dict)
    permanent: bool = False


@dataclass(frozen=True, kw_only=True)
class Journey:
    """The load scenario. `cleanup` follows `steps`, even if a step fails."""

    pause_seconds: float
    steps: list[Step]
    cleanup: list[Step]

    @classmethod
    def read(cls, file: Path) -> "Journey":
        fields = json.loads(file.read_text())
        for steps in ("steps", "cleanup"):
            fields[steps] = [Step(**step) for step in fields[steps]]
        return cls(**fields)


JOURNEY = Journey.read(Path(__file__).with_name("journey.json"))


class Visitor(FastHttpUser):
    """A user who repeats the journey."""

    host = os.environ.get("LOAD_URL", "http://127.0.0.1:3000")
    wait_time = between(0, JOURNEY.pause_seconds)
    default_headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}

    def on_start(self) -> None:
        self.failed_cleanups: list[tuple[Step, dict[str, str]]] = []

    def on_stop(self) -> None:
        """Retries failed deletions, because the service may have recovered."""
        for step, variables in self.failed_cleanups:
            self.clean_up(step, variables)

    @task
    def journey(self) -> None:
        """Runs all steps. A failed step ends the journey; its resources are still deleted."""
        variables = {"name": f"load-{uuid4()}"}
        try:
            for step in JOURNEY.steps:
                if RECEIPTS or not step.permanent:
                    self.call(step, variables)
        finally:
            self.failed_cleanups += [
                (step, variables)
                for step in JOURNEY.cleanup
                if set(VARIABLE.findall(step.path)) <= variables.keys()
                and not self.clean_up(step, variables)
            ]

    def clean_up(self, step: Step, variables: dict[str, str]) -> bool:
        """Deletes a resource; returns whether it no longer exists."""
        try:
            self.call(step, variables)
        except RescheduleTask:
            return False
        return True

    def call(self, step: Step, variables: dict[str, str]) -> None:
        """Sends a request, checks the response, and saves its variables."""

        def resolve(value: object) -> object:
            """Replaces the variables in a JSON value."""
            text = VARIABLE.sub(lambda match: variables[match[1]], json.dumps(value))
            return json.loads(text)

        headers = resolve(step.headers)
        body = {"data": step.text} if step.json is None else {"json": resolve(step.json)}
        with self.client.request(
            step.method,
            resolve(step.path),
            name=step.name,
            headers=headers,
            catch_response=True,
            **body,
        ) as response:
            text = response.text or ""
            if response.status_code not in step.statuses:
                response.failure(f"{response.status_code}: {text[:200]}")
                raise RescheduleTask
            if not step.expect and not step.save:
                response.success()
                return
            fields = response.json()
            expected = resolve(step.expect)
            saved = {name: fields.get(source) for name, source in step.save.items()}
            if not expected.items() <= fields.items() or None in saved.values():
                response.failure(f"expected {expected}: {text[:200]}")
                raise RescheduleTask
            variables.update(saved)
            response.success()


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
