"""Calls the service with a client generated from the OpenAPI document."""

import io
import sys

from client import Client
from client.api.datasets import create_dataset
from client.api.runs import create_run
from client.api.spending import compute_spending
from client.api.users import create_user, list_users, patch_user
from client.models import Costs, NewNthCharRun, NewUser, OrderWithCosts, Problem, UserPatch
from client.types import File

service = Client(base_url=sys.argv[1])

user = create_user.sync(client=service, body=NewUser(username="Ada", email="ada@example.com"))
changed = patch_user.sync(user.id, client=service, body=UserPatch(email="ada@example.org"))
assert (changed.username, changed.email) == ("Ada", "ada@example.org"), changed
page = list_users.sync(client=service, limit=1)
assert [item.id for item in page.items] == [user.id] and page.next_ is None, page

csv = File(payload=io.BytesIO(b"word\nyoda\nbest\nhas\n"))
dataset = create_dataset.sync(client=service, body=csv, name="words")
run = create_run.sync(dataset.id, client=service, body=NewNthCharRun(kata="nth-char", column="word"))
assert run.result.word == "yes", run

costs = Costs.from_dict({"socks": 5})
order = OrderWithCosts(costs=costs, items=["socks"], tax=0)
assert compute_spending.sync(client=service, body=order).total == 5
order.tax = -1
assert isinstance(compute_spending.sync(client=service, body=order), Problem)
